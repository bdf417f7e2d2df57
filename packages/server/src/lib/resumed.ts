/** A source whose first item has been taken, whole again. Leaving it leaves the source. */
export async function* resumed<T>(first: IteratorResult<T>, source: AsyncIterator<T>): AsyncGenerator<T> {
  try {
    for (let next = first; next.done !== true; next = await source.next()) yield next.value;
  } finally {
    await source.return?.();
  }
}
