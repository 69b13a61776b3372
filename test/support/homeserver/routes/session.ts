import { addUser, logIn, namedUser, removeDevice, type Session } from "../accounts.ts";
import { type AuthedCall, json, type Reply } from "../http/reply.ts";
import type { Router } from "../http/router.ts";
import { isObject, stringOr } from "../json.ts";
import { MatrixError } from "../matrix-error.ts";
import { announceProfile } from "../membership.ts";
import type { World } from "../world.ts";

const STABLE_ROOM_VERSIONS = 12;

export function addSessionRoutes(router: Router, world: World): void {
  router.open("GET", "/_matrix/client/versions", () => json(world.profile.versions));
  router.open("GET", "/health", () => ({ status: 200, contentType: "text/plain", body: ["OK"] }));
  router.open("GET", "/client/login", () =>
    json({ flows: [{ type: "m.login.password" }, { type: "m.login.application_service" }] }),
  );
  router.open("POST", "/client/login", ({ body }) => {
    if (body.type !== "m.login.password") throw new MatrixError(400, "M_UNKNOWN", `Unknown login type ${body.type}`);
    const user = namedUser(world, body);
    if (user === undefined || user.password !== body.password) {
      throw new MatrixError(403, "M_FORBIDDEN", "Invalid username or password");
    }
    return sessionReply(world, logIn(world, user, stringOr(body.device_id, undefined)));
  });
  router.open("POST", "/client/register", ({ body }) => {
    if (!isObject(body.auth)) {
      const flows = [{ stages: ["m.login.dummy"] }];
      return json({ session: world.ids.word(24), flows, params: {} }, 401);
    }
    const localpart = stringOr(body.username, world.ids.word(12).toLowerCase());
    const user = addUser(world, localpart, stringOr(body.password, ""));
    return sessionReply(world, logIn(world, user, stringOr(body.device_id, undefined)));
  });
  router.authed("POST", "/client/logout", ({ device }) => {
    removeDevice(world, device);
    return json({});
  });
  router.authed("POST", "/client/logout/all", ({ device }) => {
    for (const other of [...device.user.devices.values()]) removeDevice(world, other);
    return json({});
  });
  router.authed("GET", "/client/account/whoami", ({ device }) =>
    json({ user_id: device.user.userId, is_guest: false, device_id: device.deviceId }),
  );
  router.authed("GET", "/client/devices", ({ device }) =>
    json({ devices: [...device.user.devices.keys()].map((device_id) => ({ device_id })) }),
  );
  router.authed("GET", "/client/capabilities", () => json({ capabilities: capabilities(world) }));
  router.authed("GET", "/client/voip/turnServer", () => json({}));
  addProfileRoutes(router, world);
}

function sessionReply(world: World, { user, device, token }: Session): Reply {
  const body = { user_id: user.userId, home_server: world.serverName, access_token: token, device_id: device.deviceId };
  return json(body);
}

function capabilities(world: World) {
  const versions = Array.from({ length: STABLE_ROOM_VERSIONS }, (_, index) => [String(index + 1), "stable"]);
  return {
    "m.room_versions": { default: world.profile.defaultRoomVersion, available: Object.fromEntries(versions) },
    "m.change_password": { enabled: true },
    "m.set_displayname": { enabled: true },
    "m.set_avatar_url": { enabled: true },
    "m.3pid_changes": { enabled: true },
    "m.get_login_token": { enabled: false },
    "m.profile_fields": { enabled: true },
  };
}

function addProfileRoutes(router: Router, world: World): void {
  const own = ({ device, params }: AuthedCall) => {
    if (params.userId !== device.user.userId)
      throw new MatrixError(400, "M_UNKNOWN", "Cannot set another user's profile");
    return device.user;
  };
  router.authed("PUT", "/client/profile/:userId/displayname", (call) => {
    const user = own(call);
    user.displayname = stringOr(call.body.displayname, undefined);
    announceProfile(world, user);
    return json({});
  });
  router.authed("PUT", "/client/profile/:userId/avatar_url", (call) => {
    const user = own(call);
    user.avatarUrl = stringOr(call.body.avatar_url, undefined);
    announceProfile(world, user);
    return json({});
  });
  router.open("GET", "/client/profile/:userId", ({ params }) => {
    const user = world.users.get(params.userId ?? "");
    if (user === undefined) throw new MatrixError(404, "M_UNKNOWN", "No row found (profiles)");
    return json({ displayname: user.displayname, avatar_url: user.avatarUrl });
  });
}
