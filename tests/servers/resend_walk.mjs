// Everything that Mailroom has of Resend's API, by their own package; the last line is what it found, as JSON.
import assert from "node:assert/strict";
import { Resend } from "resend";

const resend = new Resend(process.env.MAILROOM_KEY);
const from = "Shop <shop@shop.example>";
const mail = {from, to: "a@example.org", subject: "s", text: "t"};
const later = hours => new Date(Date.now() + hours * 3_600_000).toISOString();
const good = async promise => {
  const {data, error} = await promise;
  assert.equal(error, null);
  return data;
};
const refused = async (promise, name, statusCode) => {
  const {data, error} = await promise;
  assert.equal(data, null);
  assert.deepEqual({name: error.name, statusCode: error.statusCode}, {name, statusCode});
  assert.ok(error.message);
};

const full = {
  ...mail, to: ["Alice <alice@example.org>", "bob@example.org"], cc: "cc@example.org", bcc: ["hidden@example.org"],
  replyTo: "reply@shop.example", html: '<p>Grüße <img src="cid:logo"></p>', headers: {"X-Order": "17"},
  tags: [{name: "order", value: "17"}],
  attachments: [
    {filename: "ä.txt", content: Buffer.from("hello")},
    {filename: "logo.png", content: Buffer.from("logo").toString("base64"), contentType: "image/png", contentId: "logo"},
  ],
};
const sent = await good(resend.emails.send(full, {idempotencyKey: "order-17"}));
assert.equal((await good(resend.emails.send(full, {idempotencyKey: "order-17"}))).id, sent.id);
await refused(resend.emails.send(mail, {idempotencyKey: "order-17"}), "invalid_idempotent_request", 409);
const found = await good(resend.emails.get(sent.id));
assert.deepEqual(found.to, full.to);
assert.equal(found.recipients.length, 4);
assert.equal((await good(resend.emails.list({limit: 1}))).data[0].id, sent.id);

const waiting = await good(resend.emails.send({...mail, scheduledAt: later(1)}));
await good(resend.emails.update({id: waiting.id, scheduledAt: later(2)}));
assert.equal((await good(resend.emails.get(waiting.id))).last_event, "scheduled");
await good(resend.emails.cancel(waiting.id));
assert.equal((await good(resend.emails.get(waiting.id))).last_event, "canceled");

assert.equal((await good(resend.batch.send([mail, {...mail, to: ["b@example.org"]}]))).data.length, 2);
await refused(resend.batch.send([mail, {...mail, to: "nobody"}]), "validation_error", 422);
const some = await good(resend.batch.send([mail, {...mail, to: "nobody"}], {batchValidation: "permissive"}));
assert.deepEqual([some.data.length, some.errors.map(one => one.index)], [1, [1]]);

await refused(resend.emails.send({...mail, from: "x@elsewhere.example"}), "validation_error", 403);
await refused(resend.emails.send({...mail, scheduledAt: "in 1 hour"}), "validation_error", 422);
await refused(resend.emails.get("0192f0c1-0000-7000-8000-000000000001"), "not_found", 404);
await refused(resend.domains.list(), "not_found", 404);
await refused(new Resend("mr_wrong").emails.list(), "invalid_api_key", 403);

const key = await good(resend.apiKeys.create({name: "second", permission: "sending_access", domain: "shop.example"}));
const second = new Resend(key.token);
const own = await good(second.emails.send(mail));
await refused(second.emails.get(sent.id), "not_found", 404);
await refused(second.apiKeys.list(), "restricted_api_key", 401);
assert.equal((await good(resend.apiKeys.list())).data.length, 2);
await good(resend.apiKeys.remove(key.id));
await refused(second.emails.get(own.id), "invalid_api_key", 403);

const endpoint = "https://shop.example/hook";
const hook = await good(resend.webhooks.create({endpoint, events: ["email.sent", "email.delivered", "email.bounced"]}));
assert.match(hook.signing_secret, /^whsec_/);
await good(resend.webhooks.update(hook.id, {status: "disabled"}));
assert.equal((await good(resend.webhooks.get(hook.id))).status, "disabled");
assert.equal((await good(resend.webhooks.list())).data.length, 1);
await good(resend.webhooks.remove(hook.id));
console.log(JSON.stringify({id: sent.id}));
