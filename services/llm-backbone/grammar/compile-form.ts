import { MeshError } from '#mesh/errors.ts';
import { buildAutomaton, EndlessRule } from './automaton.ts';
import type { CompileAnswer } from './compile-job.ts';
import { FORM_NAMES, formRules, type LimitingForm } from './form-rules.ts';
import { type FormName, formRefusal, TooComplex } from './grammar-refusal.ts';

/** Makes the automaton of a form, or says why there is none. */
export function compileForm(form: LimitingForm): CompileAnswer {
  try {
    return { kind: 'automaton', automaton: buildAutomaton(formRules(form)) };
  } catch (error: unknown) {
    const refusal = refusalOf(error, FORM_NAMES[form.$case]);
    if (refusal === undefined) return { kind: 'failure', message: String(error) };
    return { kind: 'refusal', param: refusal.param ?? '', message: refusal.message };
  }
}

function refusalOf(error: unknown, name: FormName): MeshError | undefined {
  if (error instanceof MeshError) return error;
  if (error instanceof TooComplex) return formRefusal(name, '', error.message);
  if (!(error instanceof EndlessRule)) return undefined;
  const { rule } = error;
  // A rule of a schema is named by the reference to it.
  const isReference = rule.startsWith('#');
  const place = isReference ? `.${rule.replace(/^#(?=#)/, '')}` : '';
  const named = rule === '' || isReference ? '' : `the rule "${rule}": `;
  return formRefusal(name, place, `${named}${error.message}`);
}
