// Classifies texts by openapi-fetch with the types that openapi-typescript made: client.mts ADDRESS TEXT..., a label each.

import process from "node:process";
import createClient from "openapi-fetch";
import type { paths } from "./schema.d.ts";

const [baseUrl, ...texts] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl });
const { data, error } = await client.POST("/v1/predict", { body: { texts, route: "ROUTE_FAST" } });
if (error !== undefined) throw new Error(`${error.error.reason}: ${error.error.message}`);
const labels: string[] = data.predictions.map(({ label }) => label);
console.log(labels.join("\n"));
