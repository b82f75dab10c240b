-- +goose Up

-- A plan stands from the first change that is held until it is approved, or until
-- nothing in it is wanted any more, and only one of a kind waits at a time. version
-- counts its content and is 0 until all of it is stored: nobody is shown half a plan.
ALTER TABLE plans ADD COLUMN version INTEGER NOT NULL DEFAULT 1 CHECK (version >= 0);
ALTER TABLE plans ADD COLUMN closed_at INTEGER;

-- version is the version of the plan with which the change joined it; left_at is when it
-- was done, or no longer wanted, or replaced by another change of the same thing.
ALTER TABLE plan_actions ADD COLUMN customer_id TEXT NOT NULL DEFAULT '';
ALTER TABLE plan_actions ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
ALTER TABLE plan_actions ADD COLUMN left_at INTEGER;
UPDATE plan_actions SET customer_id = coalesce(json_extract(action, '$.customer'), '');

-- What an approval has released is used up once it was done or not wanted for a while.
UPDATE plan_actions SET left_at = (SELECT approved_at FROM plans WHERE id = plan_id)
WHERE (plan_id, action_id) IN (
    SELECT i.plan_id, i.action_id FROM plan_actions i JOIN plans p ON p.id = i.plan_id JOIN actions a ON a.action_id = i.action_id
    WHERE p.approved_at IS NOT NULL AND a.finished_at >= p.approved_at
        AND (a.state IN ('applied', 'adopted') OR a.state = 'superseded' AND a.error <> 'withheld'))
OR (plan_id, action_id) IN (
    SELECT i.plan_id, i.action_id FROM plan_actions i JOIN plans p ON p.id = i.plan_id JOIN actions a ON a.action_id = i.action_id
    WHERE p.approved_at IS NOT NULL AND a.finished_at IS NULL AND a.planned_at > p.approved_at + 60000000
        AND NOT EXISTS (SELECT 1 FROM actions w WHERE w.customer_id = a.customer_id AND w.action_id = a.action_id
            AND w.finished_at >= p.approved_at AND w.state = 'superseded' AND w.error = 'withheld'))
OR plan_id IN (SELECT id FROM plans WHERE approved_at IS NOT NULL)
    AND action_id NOT IN (SELECT action_id FROM actions);

-- What nobody approved stays held as long as it is wanted, however old its plan is.
UPDATE plan_actions SET left_at = (SELECT created_at FROM plans WHERE id = plan_id)
WHERE plan_id IN (SELECT id FROM plans WHERE approved_at IS NULL)
    AND action_id NOT IN (SELECT action_id FROM actions
        WHERE state IN ('planned', 'held', 'sent', 'ambiguous') OR state = 'superseded' AND error = 'withheld');
UPDATE plans SET closed_at = created_at
WHERE approved_at IS NULL AND NOT EXISTS (SELECT 1 FROM plan_actions i WHERE i.plan_id = plans.id AND i.left_at IS NULL);

-- Of several plans of a kind that wait the newest stays and takes in the others.
INSERT INTO plan_actions (plan_id, position, action_id, action, customer_id)
SELECT target, (SELECT max(position) FROM plan_actions) + row_number() OVER (ORDER BY plan_id, position), action_id, action, customer_id
FROM (SELECT i.plan_id, i.position, i.action_id, i.action, i.customer_id,
        row_number() OVER (PARTITION BY p.kind, i.action_id ORDER BY p.created_at DESC, p.id DESC) AS nth,
        first_value(p.id) OVER (PARTITION BY p.kind ORDER BY p.created_at DESC, p.id DESC) AS target
    FROM plan_actions i JOIN plans p ON p.id = i.plan_id
    WHERE p.approved_at IS NULL AND p.closed_at IS NULL AND i.left_at IS NULL) waiting
WHERE nth = 1 AND plan_id <> target;
UPDATE plans SET closed_at = created_at
WHERE approved_at IS NULL AND closed_at IS NULL AND EXISTS (SELECT 1 FROM plans n WHERE n.kind = plans.kind
    AND n.approved_at IS NULL AND n.closed_at IS NULL AND (n.created_at, n.id) > (plans.created_at, plans.id));
UPDATE plan_actions SET left_at = (SELECT closed_at FROM plans WHERE id = plan_id)
WHERE left_at IS NULL AND plan_id IN (SELECT id FROM plans WHERE closed_at IS NOT NULL);

CREATE UNIQUE INDEX plans_waiting ON plans (kind) WHERE approved_at IS NULL AND closed_at IS NULL;
CREATE INDEX plan_actions_standing ON plan_actions (customer_id) WHERE left_at IS NULL;
