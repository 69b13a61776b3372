import { type AuthedCall, json } from "../http/reply.ts";
import type { Router } from "../http/router.ts";
import { MatrixError, notFound } from "../matrix-error.ts";
import { RULE_KINDS, type RuleKind, ruleKey, rulesOf } from "../push/rules.ts";
import { changePushRules } from "../user-data.ts";
import type { World } from "../world.ts";

const RULE = "/client/pushrules/global/:kind/:rule";

export function addPushRuleRoutes(router: Router, world: World): void {
  router.authed("GET", "/client/pushrules", ({ device }) => json({ global: rulesOf(device.user) }));
  router.authed("GET", "/client/pushrules/global", ({ device }) => json(rulesOf(device.user)));
  router.authed("GET", RULE, (call) => json(ruleOf(call)));
  router.authed("PUT", RULE, (call) => {
    const { device, body, params } = call;
    const { user } = device;
    const kind = kindOf(call);
    changePushRules(world, user, () => {
      const rule = { ...body, rule_id: params.rule, default: false, enabled: true };
      user.pushRules.set(kind, [rule, ...ownRules(call).filter(({ rule_id }) => rule_id !== params.rule)]);
    });
    return json({});
  });
  router.authed("DELETE", RULE, (call) => {
    const { rule = "" } = call.params;
    const { user } = call.device;
    const left = ownRules(call).filter(({ rule_id }) => rule_id !== rule);
    if (left.length === ownRules(call).length) throw notFound("Not found");
    changePushRules(world, user, () => {
      user.pushRules.set(kindOf(call), left);
      user.pushRuleChanges.delete(ruleKey(kindOf(call), rule));
    });
    return json({});
  });
  for (const attribute of ["enabled", "actions"]) {
    router.authed("PUT", `${RULE}/${attribute}`, (call) => {
      const { user } = call.device;
      const key = ruleKey(kindOf(call), ruleOf(call).rule_id);
      changePushRules(world, user, () => {
        user.pushRuleChanges.set(key, { ...user.pushRuleChanges.get(key), [attribute]: call.body[attribute] });
      });
      return json({});
    });
  }
}

function kindOf({ params }: AuthedCall): RuleKind {
  const kind = RULE_KINDS.find((known) => known === params.kind);
  if (kind === undefined) throw new MatrixError(400, "M_UNRECOGNIZED", `Unknown template: ${params.kind}`);
  return kind;
}

function ownRules(call: AuthedCall) {
  return call.device.user.pushRules.get(kindOf(call)) ?? [];
}

function ruleOf(call: AuthedCall) {
  const rule = rulesOf(call.device.user)[kindOf(call)].find(({ rule_id }) => rule_id === call.params.rule);
  if (rule === undefined) throw notFound("Not found");
  return rule;
}
