/** Writes milliseconds for people: `83 ms`, `1.24 s`, `2 min 5 s`. */
export function durationText(ms: number): string {
  if (ms < 1) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 2 : 1)} s`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/** Writes the age of a process by its two largest units: `3 d 4 h`, `12 min`. */
export function ageText(ms: number): string {
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 1) return `${Math.floor(ms / 1000)} s`;
  const [days, hours] = [Math.floor(minutes / 1440), Math.floor((minutes % 1440) / 60)];
  if (days > 0) return `${days} d ${hours} h`;
  return hours > 0 ? `${hours} h ${minutes % 60} min` : `${minutes} min`;
}

/** Writes a rate or a count with as many digits as tell something: `0.4`, `12.5`, `480`. */
export function numberText(value: number): string {
  if (value === 0) return '0';
  if (value < 100) return String(Number(value.toFixed(1)));
  return String(Math.round(value));
}

export function percentText(share: number): string {
  return `${Math.round(share * 100)} %`;
}
