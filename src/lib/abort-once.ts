/** As `abort()`, for what may have been aborted before: that would make a reason first, with a stack, and throw it away. */
export function abortOnce(controller: AbortController): void {
  if (!controller.signal.aborted) controller.abort();
}
