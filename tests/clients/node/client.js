// A client of another language: enrols, searches, and reads why a call and an item of a stream were refused. Prints
// what it saw as one JSON object. Arguments: the address, the folder of its certificate and key (examiner) and of its
// authority's certificate, or nothing for a connection without TLS, then the folders that hold the protos.
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");
const protobuf = require("protobufjs");

const [address, certificates, ...folders] = process.argv.slice(2);
const caller = { entity: "NCB-NODE", purpose: "PURPOSE_SYSTEM_TEST" };

const types = new protobuf.Root();
types.resolvePath = (_, name) =>
  folders.map((folder) => path.join(folder, name)).find((file) => fs.existsSync(file)) ?? name;
types.loadSync(["google/rpc/status.proto", "google/rpc/error_details.proto"]);

// The details of a google.rpc.Status, by the name of their type.
function details(status) {
  return Object.fromEntries(
    status.details.map((any) => {
      const type = types.lookupType((any.type_url ?? any.typeUrl).split("/").pop());
      return [type.name, type.toObject(type.decode(any.value))];
    }),
  );
}

// How it proves itself over mutual TLS, where it has certificates.
function credentials() {
  if (certificates === "") return grpc.credentials.createInsecure();
  const read = (name) => fs.readFileSync(path.join(certificates, name));
  return grpc.credentials.createSsl(read("authority.crt"), read("examiner.key"), read("examiner.crt"));
}

function unary(client, method, request) {
  return new Promise((resolve, reject) => {
    client[method](request, (error, answer) => (error ? reject(error) : resolve(answer)));
  });
}

function outcomes(client, items) {
  return new Promise((resolve, reject) => {
    const seen = [];
    const stream = client.EnrollMany();
    stream.on("data", (outcome) => seen.push(outcome));
    stream.on("error", reject);
    stream.on("end", () => resolve(seen));
    items.forEach((item) => stream.write(item));
    stream.end();
  });
}

async function main() {
  const definition = loader.loadSync("likeness/v1/face.proto", {
    includeDirs: folders,
    keepCase: true,
    longs: String,
    enums: String,
    oneofs: true,
  });
  const { FaceService } = grpc.loadPackageDefinition(definition).likeness.v1;
  const client = new FaceService(address, credentials());

  const enrolment = { caller, request_id: "node-1", sample: { data: Buffer.from("1,0,0"), name: "one" } };
  const enrolled = await unary(client, "Enroll", enrolment);
  const found = await unary(client, "Search", {
    caller,
    probe: { data: Buffer.from("1,0,0;0,1,0"), selection: { pick: "PICK_MOST_PROMINENT" } },
    options: { min_log_position: enrolled.log_position },
  });
  const refusal = await unary(client, "Enroll", { caller, sample: enrolment.sample }).then(
    () => null,
    (error) => error,
  );
  const status = types
    .lookupType("google.rpc.Status")
    .decode(refusal.metadata.get("grpc-status-details-bin")[0]);
  const seen = await outcomes(client, [
    { sequence: 1, enrolment: { ...enrolment, request_id: "node-2" } },
    { sequence: 2, enrolment: { ...enrolment, request_id: "node-3", sample: { data: Buffer.from("no") } } },
  ]);
  seen.sort((one, other) => one.sequence - other.sequence);
  const [candidate] = found.answers[0].candidates;
  console.log(
    JSON.stringify({
      enrolled: enrolled.reference.reference_id,
      modality: enrolled.reference.modality,
      found: candidate.reference.reference_id,
      fmr: candidate.score.fmr.value,
      insecure: found.header.insecure ?? false,
      refused: { code: refusal.code, ...details(status) },
      items: seen.map(({ outcome, rejected }) =>
        outcome === "rejected" ? { code: rejected.code, ...details(rejected) } : outcome,
      ),
    }),
  );
  client.close();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
