"use strict";

const { Client } = require("./src/client.js");
const errors = require("./src/errors.js");

// Named one by one, so that what reads the file without running it finds them.
module.exports = {
  Client,
  TandemError: errors.TandemError,
  InvalidArgumentError: errors.InvalidArgumentError,
  NotFoundError: errors.NotFoundError,
  FailedPreconditionError: errors.FailedPreconditionError,
  ResourceExhaustedError: errors.ResourceExhaustedError,
  UnavailableError: errors.UnavailableError,
  DeadlineExceededError: errors.DeadlineExceededError,
  UnauthenticatedError: errors.UnauthenticatedError,
  UnimplementedError: errors.UnimplementedError,
};
