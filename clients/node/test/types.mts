// Never run: it has to compile, and what is wrong has to be an error.
import { Client, InvalidArgumentError, TandemError, type Decision, type Prediction, type StreamItem, type Window } from "../index.mjs";

const client: Client = new Client("localhost:50051", { tls: { ca: "…" }, token: "…", channelOptions: { "grpc.keepalive_time_ms": 1 } });
const many: Prediction[] = await client.predict(["a", "b"] as const, { route: "cascade", signal: AbortSignal.timeout(1) });
const one: Prediction = await client.predict("a", { topK: 2 });
const decision: Decision = one.decision;
const parts: Window[] = (await client.predict("a", { truncation: "windows", includeWindows: true, minPrecision: 0.9 })).windows;
const threshold: number | undefined = parts[0] ? one.minConfidence : parts.length;
const label: string | undefined = many[0]?.label;

const tasks: Record<string, Prediction[] | TandemError> = await client.predictTasks(["a"], ["one", "other"], { topK: 1 });
const single: Record<string, Prediction | TandemError> = await client.predictTasks("a");

function told(item: StreamItem): string {
  return item.error ? item.error.code : item.prediction.label;
}
for await (const item of client.predictStream(["a"], { batchSize: 1 })) told(item);

try {
  await client.explain("a");
} catch (error) {
  if (error instanceof InvalidArgumentError) error.violations.map(({ field, description }) => `${field}: ${description}`);
  if (error instanceof TandemError && error.retryAfterMs !== undefined) error.retryAfterMs.toFixed();
}

// @ts-expect-error no such route
await client.predict(["a"], { route: "casacde" });
// @ts-expect-error no such option
await client.predict(["a"], { rout: "fast" });
// @ts-expect-error no numbers
await client.predict([1]);
// @ts-expect-error pairs are for predict
client.predictStream(["a"], { textPairs: ["b"] });
// @ts-expect-error tasks are an argument of their own
await client.predictTasks(["a"], "*", { task: "one" });
export { decision, label, threshold, tasks, single };
