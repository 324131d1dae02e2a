/** A value of an honoured field that changes what is asked or answered. */
export interface Sample {
  readonly value: unknown;
  /** Fields that the request has with the field and without it; undefined takes one away. */
  readonly given: Fields;
  /** Fields of the request with the field, where no value of the field alone would do. */
  readonly changed?: Fields;
  /** True if the field only says what something is, so that another value changes nothing. */
  readonly isLabel?: boolean;
}

export type Fields = Readonly<Record<string, unknown>>;
export type Samples = Readonly<Record<string, Sample>>;

export const sample = (value: unknown, given: Fields = {}): Sample => ({ value, given });
export const label = (value: unknown, given: Fields = {}): Sample => ({
  value,
  given,
  isLabel: true,
});

/** Puts an object in front of paths in it. */
export function below(object: string, samples: Samples): Samples {
  return Object.fromEntries(
    Object.entries(samples).map(([path, one]) => [`${object}.${path}`, one]),
  );
}

/** Gives the same fields to several samples. */
export function all(given: Fields, samples: Samples): Samples {
  return Object.fromEntries(
    Object.entries(samples).map(([path, one]) => [
      path,
      { ...one, given: { ...given, ...one.given } },
    ]),
  );
}
