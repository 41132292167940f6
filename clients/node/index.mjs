// The same objects as for `require`: an error of one is an error of the other.
import client from "./index.js";

export const {
  Client,
  TandemError,
  InvalidArgumentError,
  NotFoundError,
  FailedPreconditionError,
  ResourceExhaustedError,
  UnavailableError,
  DeadlineExceededError,
  UnauthenticatedError,
  UnimplementedError,
} = client;
