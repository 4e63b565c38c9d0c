// An app of a few lines with the client that `openapi-typescript` makes: what it prints is what the test looks at.
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

type FileAsked = components["schemas"]["FileAsked"];

const { API_URL, CHW_TOKEN, DOCTOR_TOKEN, PHOTO, PHOTO_SHA256 } = process.env as Record<string, string>;

const as = (token: string) =>
  createClient<paths, "application/json">({ baseUrl: API_URL, headers: { Authorization: `Bearer ${token}` } });
const chw = as(CHW_TOKEN);
const doctor = as(DOCTOR_TOKEN);

const photo = Buffer.from(PHOTO, "base64");
const asked: FileAsked = {
  table: "cases",
  record_id: "ts-case",
  key: "front.png",
  type: "image/png",
  bytes: photo.length,
  sha256: PHOTO_SHA256,
};

// a push, with the ticket for a photo
const now = Date.now() / 1000;
const { data: synced, error: refused } = await chw.POST("/api/sync", {
  params: { header: { "X-Client-Time": now } },
  body: {
    last_sync_timestamp: 0,
    device_id: "ts-phone",
    changes: {
      patients: [{ id: "ts-patient", sync_status: "new", last_modified_at: now, demographics: { name: "Asha" } }],
      cases: [
        {
          id: "ts-case",
          patient_id: "ts-patient",
          sync_status: "new",
          last_modified_at: now,
          risk_level: "red",
          triage_data: { bleeding: true },
          image_keys: [asked.key],
        },
      ],
    },
    files: [asked],
  },
});
if (!synced) throw new Error(refused.error.message);
const cursor: number = synced.new_sync_timestamp;
const accepted: string[] = synced.accepted.cases ?? [];

// the photo, as its bytes
const ticket = synced.files?.[0];
if (!ticket || !("upload" in ticket)) throw new Error("no ticket");
const { data: sent } = await chw.PUT("/api/v1/files/{id}/content", {
  params: { path: { id: ticket.id } },
  body: photo as unknown as string, // what `format: binary` is in TypeScript
  bodySerializer: (body: unknown) => body as Buffer,
  headers: { "Content-Type": "application/octet-stream" },
});

// where its analysis stands, until it is there
const job = synced.server_updates.medgemma_queue[0].id;
let state = "";
for (let tries = 0; state !== "done" && tries < 600; tries++) {
  await new Promise((later) => setTimeout(later, 100));
  const { data } = await chw.GET("/api/v1/jobs/{id}", { params: { path: { id: job } } });
  state = data?.state ?? "";
}

// what the doctor has to look at
const { data: list } = await doctor.GET("/api/v1/review/cases", { params: { query: { limit: 50 } } });
const row = list?.cases.find((each) => each.id === "ts-case");

// a refusal has a type, too
const { error } = await as("none").POST("/api/sync", { body: {} });
const code: "token_invalid" | string | undefined = error?.error.code;

// @ts-expect-error no such path
await chw.GET("/api/v2/sync").catch(() => undefined);
// @ts-expect-error no such column
const nothing: undefined = synced.server_updates.cases[0]?.colour;

console.log(JSON.stringify({ cursor, accepted, sent: sent?.state, state, reason: row?.reason, code, nothing }));
