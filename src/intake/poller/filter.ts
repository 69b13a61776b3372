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

const NOTHING = { types: [] };

/** The v2 filter of a first poll that leaves all rooms out; each part of it saves the homeserver work. */
export const FILTER_WITHOUT_ROOMS = JSON.stringify({
  presence: NOTHING,
  room: { rooms: [], timeline: NOTHING, state: NOTHING, ephemeral: NOTHING, account_data: NOTHING },
});
