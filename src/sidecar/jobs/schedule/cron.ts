import {Cron} from 'croner';

/** @throws Error that says what is wrong with the expression or the time zone */
export function checkCron(expression: string, timezone: string | undefined): void {
  if (nextAfter(expression, timezone, new Date(0)) === undefined)
    throw new Error(`${JSON.stringify(expression)} never comes`);
}

/** The first time after this one; with changes of the clock as croner has them: a time that is skipped comes at the next, one that is there twice counts once. */
export function nextAfter(expression: string, timezone: string | undefined, after: Date): Date | undefined {
  const cron = new Cron(expression, {mode: '5-or-6-parts', ...(timezone !== undefined && {timezone})});
  return cron.nextRun(after) ?? undefined;
}
