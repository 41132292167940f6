// Makes a container in Azurite and puts a folder's files below some/models in it, by Microsoft's own client.
//
//   node azure_upload.js HOST:PORT FOLDER
const fs = require("fs");
const path = require("path");
const { BlobServiceClient, StorageSharedKeyCredential } = require("@azure/storage-blob");

const [, , host, folder] = process.argv;
// The emulator's account and key, which its documentation names.
const account = "devstoreaccount1";
const key = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

async function main() {
  const client = new BlobServiceClient(`http://${host}/${account}`, new StorageSharedKeyCredential(account, key));
  const container = client.getContainerClient("container");
  await container.create();
  for (const entry of fs.readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = path.join(entry.parentPath ?? entry.path, entry.name);
    const name = "some/models/" + path.relative(folder, file).split(path.sep).join("/");
    await container.getBlockBlobClient(name).uploadFile(file);
  }
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
