/** Gives back what was taken, the last first, all of it even when one fails. @throws the first failure */
export async function release(held: readonly (AsyncDisposable | Disposable)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const each of held.toReversed()) {
    try {
      if (Symbol.asyncDispose in each) await each[Symbol.asyncDispose]();
      else each[Symbol.dispose]();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}

/** Runs what takes one thing after the other; when it fails, what was taken until then is given back. */
export async function taking<T>(work: (held: (AsyncDisposable | Disposable)[]) => Promise<T>): Promise<T> {
  const held: (AsyncDisposable | Disposable)[] = [];
  try {
    return await work(held);
  } catch (error) {
    await release(held).catch(() => {}); // the first failure is the one to be told
    throw error;
  }
}
