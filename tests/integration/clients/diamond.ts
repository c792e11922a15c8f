// Drives a diamond to SUCCESS with openapi-fetch and the types that openapi-typescript generated from the document.
import createClient from "openapi-fetch";

import type { components, paths } from "./api.js";

type Schemas = components["schemas"];
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

// Compiles only if the document is right about what may be null, what may be left out and what is any JSON.
const right: {
  claimedBy: Same<Schemas["Task"]["claimed_by"], string | null>;
  failure: Same<Schemas["Task"]["failure"], Schemas["Failure"] | null>;
  result: Same<Schemas["Task"]["result"], unknown>;
  output: Same<Schemas["Execution"]["output"], unknown>;
  finishedAt: Same<Schemas["Execution"]["finished_at"], string | null>;
  parent: Same<Schemas["Execution"]["parent"], Schemas["TaskReference"] | null>;
  workflow: Same<Schemas["ExecutionStart"]["workflow"], string | undefined>;
  success: Same<Schemas["TaskSuccess"]["state"], "SUCCESS">;
  attempt: Same<Schemas["TaskSuccess"]["attempt"], number | undefined>;
  heartbeat: Same<Schemas["TaskHeartbeat"]["progress"], number | undefined>;
  state: Same<"PAUSED" extends Schemas["ExecutionState"] ? true : false, false>;
  limit: Same<Schemas["ClaimRequest"]["limit"], number | undefined>;
  tags: Same<Schemas["ExecutionStart"]["tags"], string[] | undefined>;
} = {
  claimedBy: true, failure: true, result: true, output: true, finishedAt: true, parent: true, workflow: true,
  success: true, attempt: true, heartbeat: true, state: true, limit: true, tags: true,
};

const definition = {
  diamond: {
    output: { done: true },
    tasks: {
      split: { "on-success": ["left", "right"] },
      left: { "on-success": "merge" },
      right: { "on-success": "merge" },
      merge: { join: "all" },
    },
  },
};

function check(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(what);
}

async function main(baseUrl: string): Promise<void> {
  check(Object.values(right).every(Boolean), "types");
  const client = createClient<paths>({ baseUrl });
  const started = await client.POST("/executions", { body: { definition } });
  check(started.data !== undefined, JSON.stringify(started.error));
  const execution_id = started.data.id;
  check(started.data.scheduled.map((assignment) => assignment.task).join() === "split", "the first batch");
  const listed = await client.GET("/executions/{execution_id}/tasks", {
    params: { path: { execution_id }, query: { state: ["RUNNING", "PENDING"] } },
  });
  check(listed.data !== undefined, JSON.stringify(listed.error));
  check(listed.data.tasks.length === 4, "four tasks");
  for (const { name } of listed.data.tasks) {
    const path = { execution_id, task_name: name };
    const body: Schemas["TaskReport"] = { state: "SUCCESS", result: [name] };
    const reported = await client.PUT("/executions/{execution_id}/tasks/{task_name}", { params: { path }, body });
    check(reported.data?.task.state === "SUCCESS", name);
  }
  const refused = await client.PUT("/executions/{execution_id}/tasks/{task_name}", {
    params: { path: { execution_id, task_name: "merge" } },
    body: { state: "FAILURE", failure: { type: "late", message: "changed my mind" } },
  });
  check(refused.response.status === 409 && refused.error?.code === "task.already_completed", "a typed refusal");
  const execution = await client.GET("/executions/{execution_id}", { params: { path: { execution_id } } });
  check(execution.data?.state === "SUCCESS" && JSON.stringify(execution.data.output) === '{"done":true}', "the end");
  console.log(execution.data.state);
}

await main(process.argv[2] ?? "");
