/** The v2 filter of every poll: lazy members always whole, counts by thread, no presence. */
export function pollFilter(timelineLimit: number): string {
  return JSON.stringify({
    presence: { types: [] },
    room: {
      state: { lazy_load_members: true, include_redundant_members: true },
      timeline: { limit: timelineLimit, unread_thread_notifications: true, lazy_load_members: true },
    },
  });
}
