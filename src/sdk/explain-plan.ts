import {PHASES, type Plan, type StartedEvent} from '../binding/index.js';

/** One step of a start, for people: `coracle run --explain`. */
export interface ExplainedStep {
  readonly phase: string;
  /** The opcode and what it is for. */
  readonly step: string;
  readonly subject: string;
  /** Since the step before it; undefined when it is not measured: what happens after exec. */
  readonly microseconds: number | undefined;
}

/** The steps in the order of execution with what each took. */
export function explainPlan(plan: Plan, {trace}: Pick<StartedEvent, 'trace'>): ExplainedStep[] {
  let index = 0;
  let before = 0;
  return PHASES.flatMap(phase =>
    plan[phase].map(({op, stage, s1, s2}): ExplainedStep => {
      const endedNs = trace[index++] ?? 0;
      const microseconds = endedNs === 0 ? undefined : (endedNs - before) / 1000;
      if (endedNs !== 0) before = endedNs;
      const subject = op === 'fsconfigString' ? [s1, s2].join('=') : typeof s1 === 'string' ? s1 : '';
      return {
        phase,
        step: `${op}: ${stage}`,
        subject: op === 'exec' ? subject.replaceAll('\0', ' ').trim() : subject,
        microseconds,
      };
    }),
  );
}
