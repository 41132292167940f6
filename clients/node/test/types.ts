// Never run: the same for `require`, and that what is exported has the types that index.d.ts gives it.
import tandem = require("../index.js");
import source = require("../src/client.js");

const client: tandem.Client = new tandem.Client(["10.0.0.1:50051", "10.0.0.2:50051"]);
const health: Promise<tandem.Health> = client.health();
const implemented: { [name in keyof tandem.Client]: unknown } = new source.Client("localhost:50051");
export { health, implemented };
