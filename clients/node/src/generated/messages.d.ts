// What is generated has no types: src/answers.js and src/options.js give it those of index.d.ts.
export const tandem: any;
export const google: any;
export const grpc: any;
