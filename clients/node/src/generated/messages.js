/*eslint-disable block-scoped-var, id-length, no-control-regex, no-magic-numbers, no-prototype-builtins, no-redeclare, no-shadow, no-var, sort-vars*/
"use strict";

var $protobuf = require("protobufjs/minimal");

var $Reader = $protobuf.Reader, $Writer = $protobuf.Writer, $util = $protobuf.util;

var $root = $protobuf.roots["tandem-text"] || ($protobuf.roots["tandem-text"] = {});

$root.tandem = (function() {

    var tandem = {};

    tandem.v1 = (function() {

        var v1 = {};

        v1.PredictRequest = (function() {

            function PredictRequest(properties) {
                this.texts = [];
                this.textPairs = [];
                this.tasks = [];
                if (properties)
                    for (var keys = Object.keys(properties), i = 0; i < keys.length; ++i)
                        if (properties[keys[i]] != null && keys[i] !== "__proto__")
                            this[keys[i]] = properties[keys[i]];
            }

            PredictRequest.prototype.texts = $util.emptyArray;
            PredictRequest.prototype.textPairs = $util.emptyArray;
            PredictRequest.prototype.task = "";
            PredictRequest.prototype.route = 0;
            PredictRequest.prototype.model = "";
            PredictRequest.prototype.topK = 0;
            PredictRequest.prototype.scoreKind = 0;
            PredictRequest.prototype.truncation = 0;
            PredictRequest.prototype.minConfidence = null;
            PredictRequest.prototype.allowFallback = null;
            PredictRequest.prototype.priority = 0;
            PredictRequest.prototype.tasks = $util.emptyArray;
            PredictRequest.prototype.includeWindows = false;
            PredictRequest.prototype.minPrecision = null;

            var $oneOfFields;

            // Virtual OneOf for proto3 optional field
            Object.defineProperty(PredictRequest.prototype, "_minConfidence", {
                get: $util.oneOfGetter($oneOfFields = ["minConfidence"]),
                set: $util.oneOfSetter($oneOfFields)
            });

            // Virtual OneOf for proto3 optional field
            Object.defineProperty(PredictRequest.prototype, "_allowFallback", {
                get: $util.oneOfGetter($oneOfFields = ["allowFallback"]),
                set: $util.oneOfSetter($oneOfFields)
            });

            // Virtual OneOf for proto3 optional field
            Object.defineProperty(PredictRequest.prototype, "_minPrecision", {
                get: $util.oneOfGetter($oneOfFields = ["minPrecision"]),
                set: $util.oneOfSetter($oneOfFields)
            });

            PredictRequest.encode = function encode(message, writer, q) {
                if (!writer)
                    writer = $Writer.create();
                if (q === undefined)
                    q = 0;
                if (q > $util.recursionLimit)
                    throw Error("max depth exceeded");
                if (message.texts != null && message.texts.length)
                    for (var i = 0; i < message.texts.length; ++i)
                        writer.uint32(10).string(message.texts[i]);
                if (message.textPairs != null && message.textPairs.length)
                    for (var i = 0; i < message.textPairs.length; ++i)
                        writer.uint32(18).string(message.textPairs[i]);
                if (message.task != null && Object.hasOwnProperty.call(message, "task"))
                    writer.uint32(26).string(message.task);
                if (message.route != null && Object.hasOwnProperty.call(message, "route"))
                    writer.uint32(32).int32(message.route);
                if (message.model != null && Object.hasOwnProperty.call(message, "model"))
                    writer.uint32(42).string(message.model);
                if (message.topK != null && Object.hasOwnProperty.call(message, "topK"))
                    writer.uint32(48).int32(message.topK);
                if (message.scoreKind != null && Object.hasOwnProperty.call(message, "scoreKind"))
                    writer.uint32(56).int32(message.scoreKind);
                if (message.truncation != null && Object.hasOwnProperty.call(message, "truncation"))
                    writer.uint32(64).int32(message.truncation);
                if (message.minConfidence != null && Object.hasOwnProperty.call(message, "minConfidence"))
                    writer.uint32(77).float(message.minConfidence);
                if (message.allowFallback != null && Object.hasOwnProperty.call(message, "allowFallback"))
                    writer.uint32(80).bool(message.allowFallback);
                if (message.priority != null && Object.hasOwnProperty.call(message, "priority"))
                    writer.uint32(88).int32(message.priority);
                if (message.tasks != null && message.tasks.length)
                    for (var i = 0; i < message.tasks.length; ++i)
                        writer.uint32(98).string(message.tasks[i]);
                if (message.includeWindows != null && Object.hasOwnProperty.call(message, "includeWindows"))
                    writer.uint32(104).bool(message.includeWindows);
                if (message.minPrecision != null && Object.hasOwnProperty.call(message, "minPrecision"))
                    writer.uint32(117).float(message.minPrecision);
                return writer;
            };

            PredictRequest.decode = function decode(reader, length, error, long) {
                if (!(reader instanceof $Reader))
                    reader = $Reader.create(reader);
                if (long === undefined)
                    long = 0;
                if (long > $Reader.recursionLimit)
                    throw Error("maximum nesting depth exceeded");
                var end, message;
                if (length === undefined)
                    end = reader.len;
                else {
                    end = reader.pos + length;
                    if (end > reader.len)
                        throw RangeError("index out of range");
                    length = reader.len;
                    reader.len = end;
                }
                message = new $root.tandem.v1.PredictRequest();
                while (reader.pos < end) {
                    var tag = reader.uint32();
                    if (tag === error)
                        break;
                    switch (tag >>> 3) {
                    case 1: {
                            if (!(message.texts && message.texts.length))
                                message.texts = [];
                            message.texts.push(reader.string());
                            break;
                        }
                    case 2: {
                            if (!(message.textPairs && message.textPairs.length))
                                message.textPairs = [];
                            message.textPairs.push(reader.string());
                            break;
                        }
                    case 3: {
                            message.task = reader.string();
                            break;
                        }
                    case 4: {
                            message.route = reader.int32();
                            break;
                        }
                    case 5: {
                            message.model = reader.string();
                            break;
                        }
                    case 6: {
                            message.topK = reader.int32();
                            break;
                        }
                    case 7: {
                            message.scoreKind = reader.int32();
                            break;
                        }
                    case 8: {
                            message.truncation = reader.int32();
                            break;
                        }
                    case 9: {
                            message.minConfidence = reader.float();
                            break;
                        }
                    case 10: {
                            message.allowFallback = reader.bool();
                            break;
                        }
                    case 11: {
                            message.priority = reader.int32();
                            break;
                        }
                    case 12: {
                            if (!(message.tasks && message.tasks.length))
                                message.tasks = [];
                            message.tasks.push(reader.string());
                            break;
                        }
                    case 13: {
                            message.includeWindows = reader.bool();
                            break;
                        }
                    case 14: {
                            message.minPrecision = reader.float();
                            break;
                        }
                    default:
                        reader.skipType(tag & 7, long);
                        break;
                    }
                }
                if (length !== undefined) {
                    if (reader.pos !== end)
                        throw RangeError("index out of range");
                    reader.len = length;
                }
                return message;
            };

            return PredictRequest;
        })();

        v1.PredictResponse = (function() {

            function PredictResponse(properties) {
                this.predictions = [];
                this.models = [];
                this.taskResults = [];
                if (properties)
                    for (var keys = Object.keys(properties), i = 0; i < keys.length; ++i)
                        if (properties[keys[i]] != null && keys[i] !== "__proto__")
                            this[keys[i]] = properties[keys[i]];
            }

            PredictResponse.prototype.predictions = $util.emptyArray;
            PredictResponse.prototype.models = $util.emptyArray;
            PredictResponse.prototype.timing = null;
            PredictResponse.prototype.minConfidence = null;
            PredictResponse.prototype.taskResults = $util.emptyArray;

            var $oneOfFields;

            // Virtual OneOf for proto3 optional field
            Object.defineProperty(PredictResponse.prototype, "_minConfidence", {
                get: $util.oneOfGetter($oneOfFields = ["minConfidence"]),
                set: $util.oneOfSetter($oneOfFields)
            });

            PredictResponse.encode = function encode(message, writer, q) {
                if (!writer)
                    writer = $Writer.create();
                if (q === undefined)
                    q = 0;
                if (q > $util.recursionLimit)
                    throw Error("max depth exceeded");
                if (message.predictions != null && message.predictions.length)
                    for (var i = 0; i < message.predictions.length; ++i)
                        $root.tandem.v1.Prediction.encode(message.predictions[i], writer.uint32(10).fork(), q + 1).ldelim();
                if (message.models != null && message.models.length)
                    for (var i = 0; i < message.models.length; ++i)
                        $root.tandem.v1.ModelRef.encode(message.models[i], writer.uint32(18).fork(), q + 1).ldelim();
                if (message.timing != null && Object.hasOwnProperty.call(message, "timing"))
                    $root.tandem.v1.Timing.encode(message.timing, writer.uint32(26).fork(), q + 1).ldelim();
                if (message.minConfidence != null && Object.hasOwnProperty.call(message, "minConfidence"))
                    writer.uint32(37).float(message.minConfidence);
                if (message.taskResults != null && message.taskResults.length)
                    for (var i = 0; i < message.taskResults.length; ++i)
                        $root.tandem.v1.TaskResult.encode(message.taskResults[i], writer.uint32(42).fork(), q + 1).ldelim();
                return writer;
            };

            PredictResponse.decode = function decode(reader, length, error, long) {
                if (!(reader instanceof $Reader))
                    reader = $Reader.create(reader);
                if (long === undefined)
                    long = 0;
                if (long > $Reader.recursionLimit)
                    throw Error("maximum nesting depth exceeded");
                var end, message;
                if (length === undefined)
                    end = reader.len;
                else {
                    end = reader.pos + length;
                    if (end > reader.len)
                        throw RangeError("index out of range");
                    length = reader.len;
                    reader.len = end;
                }
                message = new $root.tandem.v1.PredictResponse();
                while (reader.pos < end) {
                    var tag = reader.uint32();
                    if (tag === error)
                        break;
                    switch (tag >>> 3) {
                    case 1: {
                            if (!(message.predictions && message.predictions.length))
                                message.predictions = [];
                            message.predictions.push($root.tandem.v1.Prediction.decode(reader, reader.uint32(), undefined, long + 1));
                            break;
                        }
                    case 2: {
                            if (!(message.models && message.models.length))
                                message.models = [];
                            message.models.push($root.tandem.v1.ModelRef.decode(reader, reader.uint32(), undefined, long + 1));
                            break;
                        }
                    case 3: {
                            message.timing = $root.tandem.v1.Timing.decode(reader, reader.uint32(), undefined, long + 1);
                            break;
                        }
                    case 4: {
                            message.minConfidence = reader.float();
                            break;
                        }
                    case 5: {
                            if (!(message.taskResults && message.taskResults.length))
                                message.taskResults = [];
                            message.taskResults.push($root.tandem.v1.TaskResult.decode(reader, reader.uint32(), undefined, long + 1));
                            break;
                        }
                    default:
                        reader.skipType(tag & 7, long);
                        break;
                    }
                }
                if (length !== undefined) {
                    if (reader.pos !== end)
                        throw RangeError("index out of range");
                    reader.len = length;
                }
                return message;
            };

            return PredictResponse;
        })();

        v1.TaskResult = (function() {

            function TaskResult(properties) {
                if (properties)
                    for (var keys = Object.keys(properties), i = 0; i < keys.length; ++i)
                        if (properties[keys[i]] != null && keys[i] !== "__proto__")
                            this[keys[i]] = properties[keys[i]];
            }

            TaskResult.prototype.task = "";
            TaskResult.prototype.response = null;
            TaskResult.prototype.status = null;

            var $oneOfFields;

            Object.defineProperty(TaskResult.prototype, "outcome", {
                get: $util.oneOfGetter($oneOfFields = ["response", "status"]),
                set: $util.oneOfSetter($oneOfFields)
            });

            TaskResult.encode = function encode(message, writer, q) {
                if (!writer)
                    writer = $Writer.create();
                if (q === undefined)
                    q = 0;
                if (q > $util.recursionLimit)
                    throw Error("max depth exceeded");
                if (message.task != null && Object.hasOwnProperty.call(message, "task"))
                    writer.uint32(10).string(message.task);
                if (message.response != null && Object.hasOwnProperty.call(message, "response"))
                    $root.tandem.v1.PredictResponse.encode(message.response, writer.uint32(18).fork(), q + 1).ldelim();
                if (message.status != null && Object.hasOwnProperty.call(message, "status"))
                    $root.google.rpc.Status.encode(message.status, writer.uint32(26).fork(), q + 1).ldelim();
                return writer;
            };

            TaskResult.decode = function decode(reader, length, error, long) {
                if (!(reader instanceof $Reader))
                    reader = $Reader.create(reader);
                if (long === undefined)
                    long = 0;
                if (long > $Reader.recursionLimit)
                    throw Error("maximum nesting depth exceeded");
                var end, message;
                if (length === undefined)
                    end = reader.len;
                else {
                    end = reader.pos + length;
                    if (end > reader.len)
                        throw RangeError("index out of range");
                    length = reader.len;
                    reader.len = end;
                }
                message = new $root.tandem.v1.TaskResult();
                while (reader.pos < end) {
                    var tag = reader.uint32();
                    if (tag === error)
                        break;
                    switch (tag >>> 3) {
                    case 1: {
                            message.task = reader.string();
                            break;
                        }
                    case 2: {
                            message.response = $root.tandem.v1.PredictResponse.decode(reader, reader.uint32(), undefined, long + 1);
                            break;
                        }
                    case 3: {
                            message.status = $root.google.rpc.Status.decode(reader, reader.uint32(), undefined, long + 1);
                            break;
                        }
                    default:
                        reader.skipType(tag & 7, long);
                        break;
                    }
                }
                if (length !== undefined) {
                    if (reader.pos !== end)
                        throw RangeError("index out of range");
                    reader.len = length;
                }
                return message;
            };

            return TaskResult;
        })();

        v1.PredictStreamRequest = (function() {

            function PredictStreamRequest(properties) {
                if (properties)
                    for (var keys = Object.keys(properties), i = 0; i < keys.length; ++i)
                        if (properties[keys[i]] != null && keys[i] !== "__proto__")
                            this[keys[i]] = properties[keys[i]];
            }

            PredictStreamRequest.prototype.id = "";
            PredictStreamRequest.prototype.request = null;
            PredictStreamRequest.prototype.timeoutDuration = null;

            PredictStreamRequest.encode = function encode(message, writer, q) {
                if (!writer)
                    writer = $Writer.create();
                if (q === undefined)
                    q = 0;
                if (q > $util.recursionLimit)
                    throw Error("max depth exceeded");
                if (message.id != null && Object.hasOwnProperty.call(message, "id"))
                    writer.uint32(10).string(message.id);
                if (message.request != null && Object.hasOwnProperty.call(message, "request"))
                    $root.tandem.v1.PredictRequest.encode(message.request, writer.uint32(18).fork(), q + 1).ldelim();
                if (message.timeoutDuration != null && Object.hasOwnProperty.call(message, "timeoutDuration"))
                    $root.google.protobuf.Duration.encode(message.timeoutDuration, writer.uint32(26).fork(), q + 1).ldelim();
                return writer;
            };

            PredictStreamRequest.decode = function decode(reader, length, error, long) {
                if (!(reader instanceof $Reader))
                    reader = $Reader.create(reader);
                if (long === undefined)
                    long = 0;
                if (long > $Reader.recursionLimit)
                    throw Error("maximum nesting depth exceeded");
                var end, message;
                if (length === undefined)
                    end = reader.len;
                else {
                    end = reader.pos + length;
                    if (end > reader.len)
                        throw RangeError("index out of range");
                    length = reader.len;
                    reader.len = end;
                }
                message = new $root.tandem.v1.PredictStreamRequest();
                while (reader.pos < end) {
                    var tag = reader.uint32();
                    if (tag === error)
                        break;
                    switch (tag >>> 3) {
                    case 1: {
                            message.id = reader.string();
                            break;
                        }
                    case 2: {
                            message.request = $root.tandem.v1.PredictRequest.decode(reader, reader.uint32(), undefined, long + 1);
                            break;
                        }
                    case 3: {
                            message.timeoutDuration = $root.google.protobuf.Duration.decode(reader, reader.uint32(), undefined, long + 1);
                            break;
                        }
                    default:
                        reader.skipType(tag & 7, long);
                        break;
                    }
                }
                if (length !== undefined) {
                    if (reader.pos !== end)
                        throw RangeError("index out of range");
                    reader.len = length;
                }
                return message;
            };

            return PredictStreamRequest;
        })();

        v1.PredictStreamResponse = (function() {

            function PredictStreamResponse(properties) {
                if (properties)
                    for (var keys = Object.keys(properties), i = 0; i < keys.length; ++i)
                        if (properties[keys[i]] != null && keys[i] !== "__proto__")
                            this[keys[i]] = properties[keys[i]];
            }

            PredictStreamResponse.prototype.id = "";
            PredictStreamResponse.prototype.response = null;
            PredictStreamResponse.prototype.status = null;

            var $oneOfFields;

            Object.defineProperty(PredictStreamResponse.prototype, "outcome", {
                get: $util.oneOfGetter($oneOfFields = ["response", "status"]),
                set: $util.oneOfSetter($oneOfFields)
            });

            PredictStreamResponse.encode = function encode(message, writer, q) {
                if (!writer)
                    writer = $Writer.create();
                if (q === undefined)
                    q = 0;
                if (q > $util.recursionLimit)
                    throw Error("max depth exceeded");
                if (message.id != null && Object.hasOwnProperty.call(message, "id"))
                    writer.uint32(10).string(message.id);
                if (message.response != null && Object.hasOwnProperty.call(message, "response"))
                    $root.tandem.v1.PredictResponse.encode(message.response, writer.uint32(18).fork(), q + 1).ldelim();
                if (message.status != null && Object.hasOwnProperty.call(message, "status"))
                    $root.google.rpc.Status.encode(message.status, writer.uint32(26).fork(), q + 1).ldelim();
                return writer;
            };

            PredictStreamResponse.decode = function decode(reader, length, error, long) {
                if (!(reader instanceof $Reader))
                    reader = $Reader.create(reader);
                if (long === undefined)
                    long = 0;
                if (long > $Reader.recursionLimit)
                    throw Error("maximum nesting depth exceeded");
                var end, message;
                if (length === undefined)
                    end = reader.len;
                else {
                    end = reader.pos + length;
                    if (end > reader.len)
                        throw RangeError("index out of range");
                    length = reader.len;
                    reader.len = end;
                }
                message = new $root.tandem.v1.PredictStreamResponse();
                while (reader.pos < end) {
                    var tag = reader.uint32();
                    if (tag === error)
                        break;
                    switch (tag >>> 3) {
                    case 1: {
                            message.id = reader.string();
                            break;
                        }
                    case 2: {
                            message.response = $root.tandem.v1.PredictResponse.decode(reader, reader.uint32(), undefined, long + 1);
                            break;
                        }
                    case 3: {
                            message.status = $root.google.rpc.Status.decode(reader, reader.uint32(), undefined, long + 1);
                            break;
                        }
                    default:
                        reader.skipType(tag & 7, long);
                        break;
                    }
                }
                if (length !== undefined) {
                    if (reader.pos !== end)
                        throw RangeError("index out of range");
                    reader.len = length;
                }
                return message;
            };

            return PredictStreamResponse;
        })();

        v1.Prediction = (function() {

            function Prediction(properties) {
                this.scores = [];
                this.windows = [];
                if (properties)
                    for (var keys = Object.keys(properties), i = 0; i < keys.length; ++i)
                        if (properties[keys[i]] != null && keys[i] !== "__proto__")
                            this[keys[i]] = properties[keys[i]];
            }

            Prediction.prototype.label = "";
            Prediction.prototype.confidence = 0;
            Prediction.prototype.tier = 0;
            Prediction.prototype.decision = 0;
            Prediction.prototype.scores = $util.emptyArray;
            Prediction.prototype.tokenCount = 0;
            Prediction.prototype.truncated = false;
            Prediction.prototype.value = null;
            Prediction.prototype.windows = $util.emptyArray;
            Prediction.prototype.readSizeBytes = 0;

            var $oneOfFields;

            // Virtual OneOf for proto3 optional field
            Object.defineProperty(Prediction.prototype, "_value", {
                get: $util.oneOfGetter($oneOfFields = ["value"]),
                set: $util.oneOfSetter($oneOfFields)
            });

            Prediction.encode = function encode(message, writer, q) {
                if (!writer)
                    writer = $Writer.create();
                if (q === undefined)
                    q = 0;
                if (q > $util.recursionLimit)
                    throw Error("max depth exceeded");
                if (message.label != null && Object.hasOwnProperty.call(message, "label"))
                    writer.uint32(10).string(message.label);
                if (message.confidence != null && Object.hasOwnProperty.call(message, "confidence"))
                    writer.uint32(21).float(message.confidence);
                if (message.tier != null && Object.hasOwnProperty.call(message, "tier"))
                    writer.uint32(24).int32(message.tier);
                if (message.decision != null && Object.hasOwnProperty.call(message, "decision"))
                    writer.uint32(32).int32(message.decision);
                if (message.scores != null && message.scores.length)
                    for (var i = 0; i < message.scores.length; ++i)
                        $root.tandem.v1.LabelScore.encode(message.scores[i], writer.uint32(42).fork(), q + 1).ldelim();
                if (message.tokenCount != null && Object.hasOwnProperty.call(message, "tokenCount"))
                    writer.uint32(48).int32(message.tokenCount);
                if (message.truncated != null && Object.hasOwnProperty.call(message, "truncated"))
                    writer.uint32(56).bool(message.truncated);
                if (message.value != null && Object.hasOwnProperty.call(message, "value"))
                    writer.uint32(69).float(message.value);
                if (message.windows != null && message.windows.length)
                    for (var i = 0; i < message.windows.length; ++i)
                        $root.tandem.v1.Window.encode(message.windows[i], writer.uint32(74).fork(), q + 1).ldelim();
                if (message.readSizeBytes != null && Object.hasOwnProperty.call(message, "readSizeBytes"))
                    writer.uint32(80).int32(message.readSizeBytes);
                return writer;
            };

            Prediction.decode = function decode(reader, length, error, long) {
                if (!(reader instanceof $Reader))
                    reader = $Reader.create(reader);
                if (long === undefined)
                    long = 0;
                if (long > $Reader.recursionLimit)
                    throw Error("maximum nesting depth exceeded");
                var end, message;
                if (length === undefined)
                    end = reader.len;
                else {
                    end = reader.pos + length;
                    if (end > reader.len)
                        throw RangeError("index out of range");
                    length = reader.len;
                    reader.len = end;
                }
                message = new $root.tandem.v1.Prediction();
                while (reader.pos < end) {
                    var tag = reader.uint32();
                    if (tag === error)
                        break;
                    switch (tag >>> 3) {
                    case 1: {
                            message.label = reader.string();
                            break;
                        }
                    case 2: {
                            message.confidence = reader.float();
                            break;
                        }
                    case 3: {
                            message.tier = reader.int32();
                            break;
                        }
                    case 4: {
                            message.decision = reader.int32();
                            break;
                        }
                    case 5: {
                            if (!(message.scores && message.scores.length))
                                message.scores = [];
                            message.scores.push($root.tandem.v1.LabelScore.decode(reader, reader.uint32(), undefined, long + 1));
                            break;
                        }
                    case 6: {
                            message.tokenCount = reader.int32();
                            break;
                        }
                    case 7: {
                            message.truncated = reader.bool();
                            break;
                        }
                    case 8: {
                            message.value = reader.float();
                            break;
                        }
                    case 9: {
                            if (!(message.windows && message.windows.length))
                                message.windows = [];
                            message.windows.push($root.tandem.v1.Window.decode(reader, reader.uint32(), undefined, long + 1));
                            break;
                        }
                    case 10: {
                            message.readSizeBytes = reader.int32();
                            break;
                        }
                    default:
                        reader.skipType(tag & 7, long);
                        break;
                    }
                }
                if (length !== undefined) {
                    if (reader.pos !== end)
                        throw RangeError("index out of range");
                    reader.len = length;
                }
                return message;
            };

            return Prediction;
        })();

        v1.Window = (function() {

            function Window(properties) {
                this.scores = [];
                if (properties)
                    for (var keys = Object.keys(properties), i = 0; i < keys.length; ++i)
                        if (properties[keys[i]] != null && keys[i] !== "__proto__")
                            this[keys[i]] = properties[keys[i]];
            }

            Window.prototype.startByte = 0;
            Window.prototype.endByte = 0;
            Window.prototype.label = "";
            Window.prototype.confidence = 0;
            Window.prototype.tier = 0;
            Window.prototype.scores = $util.emptyArray;
            Window.prototype.tokenCount = 0;
            Window.prototype.value = null;

            var $oneOfFields;

            // Virtual OneOf for proto3 optional field
            Object.defineProperty(Window.prototype, "_value", {
                get: $util.oneOfGetter($oneOfFields = ["value"]),
                set: $util.oneOfSetter($oneOfFields)
            });

            Window.encode = function encode(message, writer, q) {
                if (!writer)
                    writer = $Writer.create();
                if (q === undefined)
                    q = 0;
                if (q > $util.recursionLimit)
                    throw Error("max depth exceeded");
                if (message.startByte != null && Object.hasOwnProperty.call(message, "startByte"))
                    writer.uint32(8).int32(message.startByte);
                if (message.endByte != null && Object.hasOwnProperty.call(message, "endByte"))
                    writer.uint32(16).int32(message.endByte);
                if (message.label != null && Object.hasOwnProperty.call(message, "label"))
                    writer.uint32(26).string(message.label);
                if (message.confidence != null && Object.hasOwnProperty.call(message, "confidence"))
                    writer.uint32(37).float(message.confidence);
                if (message.tier != null && Object.hasOwnProperty.call(message, "tier"))
                    writer.uint32(40).int32(message.tier);
                if (message.scores != null && message.scores.length)
                    for (var i = 0; i < message.scores.length; ++i)
                        $root.tandem.v1.LabelScore.encode(message.scores[i], writer.uint32(50).fork(), q + 1).ldelim();
                if (message.tokenCount != null && Object.hasOwnProperty.call(message, "tokenCount"))
                    writer.uint32(56).int32(message.tokenCount);
                if (message.value != null && Object.hasOwnProperty.call(message, "value"))
                    writer.uint32(69).float(message.value);
                return writer;
            };

            Window.decode = function decode(reader, length, error, long) {
                if (!(reader instanceof $Reader))
                    reader = $Reader.create(reader);
                if (long === undefined)
                    long = 0;
                if (long > $Reader.recursionLimit)
                    throw Error("maximum nesting depth exceeded");
                var end, message;
                if (length === undefined)
                    end = reader.len;
                else {
                    end = reader.pos + length;
                    if (end > reader.len)
                        throw RangeError("index out of range");
                    length = reader.len;
                    reader.len = end;
                }
                message = new $root.tandem.v1.Window();
                while (reader.pos < end) {
                    var tag = reader.uint32();
                    if (tag === error)
                        break;
                    switch (tag >>> 3) {
                    case 1: {
                            message.startByte = reader.int32();
                            break;
                        }
                    case 2: {
                            message.endByte = reader.int32();
                            break;
                        }
                    case 3: {
                            message.label = reader.string();
                            break;
                        }
                    case 4: {
                            message.confidence = reader.float();
                            break;
                        }
                    case 5: {
                            message.tier = reader.int32();
                            break;
                        }
                    case 6: {
                            if (!(message.scores && message.scores.length))
                                message.scores = [];
                            message.scores.push($root.tandem.v1.LabelScore.decode(reader, reader.uint32(), undefined, long + 1));
                            break;
                        }
                    case 7: {
                            message.tokenCount = reader.int32();
                            break;
                        }
                    case 8: {
                            message.value = reader.float();
                            break;
                        }
                    default:
                        reader.skipType(tag & 7, long);
                        break;
                    }
                }
                if (length !== undefined) {
                    if (reader.pos !== end)
                        throw RangeError("index out of range");
                    reader.len = length;
                }
                return message;
            };

            return Window;
        })();

        v1.LabelScore = (function() {

            function LabelScore(properties) {
                if (properties)
                    for (var keys = Object.keys(properties), i = 0; i < keys.length; ++i)
                        if (properties[keys[i]] != null && keys[i] !== "__proto__")
                            this[keys[i]] = properties[keys[i]];
            }

            LabelScore.prototype.label = "";
            LabelScore.prototype.score = 0;
            LabelScore.prototype.selected = false;

            LabelScore.encode = function encode(message, writer, q) {
                if (!writer)
                    writer = $Writer.create();
                if (q === undefined)
                    q = 0;
                if (q > $util.recursionLimit)
                    throw Error("max depth exceeded");
                if (message.label != null && Object.hasOwnProperty.call(message, "label"))
                    writer.uint32(10).string(message.label);
                if (message.score != null && Object.hasOwnProperty.call(message, "score"))
                    writer.uint32(21).float(message.score);
                if (message.selected != null && Object.hasOwnProperty.call(message, "selected"))
                    writer.uint32(24).bool(message.selected);
                return writer;
            };

            LabelScore.decode = function decode(reader, length, error, long) {
                if (!(reader instanceof $Reader))
                    reader = $Reader.create(reader);
                if (long === undefined)
                    long = 0;
                if (long > $Reader.recursionLimit)
                    throw Error("maximum nesting depth exceeded");
                var end, message;
                if (length === undefined)
                    end = reader.len;
                else {
                    end = reader.pos + length;
                    if (end > reader.len)
                        throw RangeError("index out of range");
                    length = reader.len;
                    reader.len = end;
                }
                message = new $root.tandem.v1.LabelScore();
                while (reader.pos < end) {
                    var tag = reader.uint32();
                    if (tag === error)
                        break;
                    switch (tag >>> 3) {
                    case 1: {
                            message.label = reader.string();
                            break;
                        }
                    case 2: {
                            message.score = reader.float();
                            break;
                        }
                    case 3: {
                            message.selected = reader.bool();
                            break;
                        }
                    default:
                        reader.skipType(tag & 7, long);
                        break;
                    }
                }
                if (length !== undefined) {
                    if (reader.pos !== end)
                        throw RangeError("index out of range");
                    reader.len = length;
                }
                return message;
            };

            return LabelScore;
        })();

        v1.ExplainRequest = (function() {

            function ExplainRequest(properties) {
                this.texts = [];
                if (properties)
                    for (var keys = Object.keys(properties), i = 0; i < keys.length; ++i)
                        if (properties[keys[i]] != null && keys[i] !== "__proto__")
                            this[keys[i]] = properties[keys[i]];
            }

            ExplainRequest.prototype.texts = $util.emptyArray;
            ExplainRequest.prototype.task = "";
            ExplainRequest.prototype.route = 0;
            ExplainRequest.prototype.model = "";
            ExplainRequest.prototype.maxContributionCount = 0;
            ExplainRequest.prototype.truncation = 0;

            ExplainRequest.encode = function encode(message, writer, q) {
                if (!writer)
                    writer = $Writer.create();
                if (q === undefined)
                    q = 0;
                if (q > $util.recursionLimit)
                    throw Error("max depth exceeded");
                if (message.texts != null && message.texts.length)
                    for (var i = 0; i < message.texts.length; ++i)
                        writer.uint32(10).string(message.texts[i]);
                if (message.task != null && Object.hasOwnProperty.call(message, "task"))
                    writer.uint32(18).string(message.task);
                if (message.route != null && Object.hasOwnProperty.call(message, "route"))
                    writer.uint32(24).int32(message.route);
                if (message.model != null && Object.hasOwnProperty.call(message, "model"))
                    writer.uint32(34).string(message.model);
                if (message.maxContributionCount != null && Object.hasOwnProperty.call(message, "maxContributionCount"))
                    writer.uint32(40).int32(message.maxContributionCount);
                if (message.truncation != null && Object.hasOwnProperty.call(message, "truncation"))
                    writer.uint32(48).int32(message.truncation);
                return writer;
            };

            ExplainRequest.decode = function decode(reader, length, error, long) {
                if (!(reader instanceof $Reader))
                    reader = $Reader.create(reader);
                if (long === undefined)
                    long = 0;
                if (long > $Reader.recursionLimit)
                    throw Error("maximum nesting depth exceeded");
                var end, message;
                if (length === undefined)
                    end = reader.len;
                else {
                    end = reader.pos + length;
                    if (end > reader.len)
                        throw RangeError("index out of range");
                    length = reader.len;
                    reader.len = end;
                }
                message = new $root.tandem.v1.ExplainRequest();
                while (reader.pos < end) {
                    var tag = reader.uint32();
                    if (tag === error)
                        break;
                    switch (tag >>> 3) {
                    case 1: {
                            if (!(message.texts && message.texts.length))
                                message.texts = [];
                            message.texts.push(reader.string());
                            break;
                        }
                    case 2: {
                            message.task = reader.string();
                            break;
                        }
                    case 3: {
                            message.route = reader.int32();
                            break;
                        }
                    case 4: {
                            message.model = reader.string();
                            break;
                        }
                    case 5: {
                            message.maxContributionCount = reader.int32();
                            break;
                        }
                    case 6: {
                            message.truncation = reader.int32();
                            break;
                        }
                    default:
                        reader.skipType(tag & 7, long);
                        break;
                    }
                }
                if (length !== undefined) {
                    if (reader.pos !== end)
                        throw RangeError("index out of range");
                    reader.len = length;
                }
                return message;
            };

            return ExplainRequest;
        })();

        v1.ExplainResponse = (function() {

            function ExplainResponse(properties) {
                this.explanations = [];
                if (properties)
                    for (var keys = Object.keys(properties), i = 0; i < keys.length; ++i)
                        if (properties[keys[i]] != null && keys[i] !== "__proto__")
                            this[keys[i]] = properties[keys[i]];
            }

            ExplainResponse.prototype.explanations = $util.emptyArray;
            ExplainResponse.prototype.model = null;
            ExplainResponse.prototype.totalDuration = null;

            ExplainResponse.encode = function encode(message, writer, q) {
                if (!writer)
                    writer = $Writer.create();
                if (q === undefined)
                    q = 0;
                if (q > $util.recursionLimit)
                    throw Error("max depth exceeded");
                if (message.explanations != null && message.explanations.length)
                    for (var i = 0; i < message.explanations.length; ++i)
                        $root.tandem.v1.Explanation.encode(message.explanations[i], writer.uint32(10).fork(), q + 1).ldelim();
                if (message.model != null && Object.hasOwnProperty.call(message, "model"))
                    $root.tandem.v1.ModelRef.encode(message.model, writer.uint32(18).fork(), q + 1).ldelim();
                if (message.totalDuration != null && Object.hasOwnProperty.call(message, "totalDuration"))
                    $root.google.protobuf.Duration.encode(message.totalDuration, writer.uint32(26).fork(), q + 1).ldelim();
                return writer;
            };

            ExplainResponse.decode = function decode(reader, length, error, long) {
                if (!(reader instanceof $Reader))
                    reader = $Reader.create(reader);
                if (long === undefined)
                    long = 0;
                if (long > $Reader.recursionLimit)
                    throw Error("maximum nesting depth exceeded");
                var end, message;
                if (length === undefined)
                    end = reader.len;
                else {
                    end = reader.pos + length;
                    if (end > reader.len)
                        throw RangeError("index out of range");
                    length = reader.len;
                    reader.len = end;
                }
                message = new $root.tandem.v1.ExplainResponse();
                while (reader.pos < end) {
                    var tag = reader.uint32();
                    if (tag === error)
                        break;
                    switch (tag >>> 3) {
                    case 1: {
                            if (!(message.explanations && message.explanations.length))
                                message.explanations = [];
                            message.explanations.push($root.tandem.v1.Explanation.decode(reader, reader.uint32(), undefined, long + 1));
                            break;
                        }
                    case 2: {
                            message.model = $root.tandem.v1.ModelRef.decode(reader, reader.uint32(), undefined, long + 1);
                            break;
                        }
                    case 3: {
                            message.totalDuration = $root.google.protobuf.Duration.decode(reader, reader.uint32(), undefined, long + 1);
                            break;
                        }
                    default:
                        reader.skipType(tag & 7, long);
                        break;
                    }
                }
                if (length !== undefined) {
                    if (reader.pos !== end)
                        throw RangeError("index out of range");
                    reader.len = length;
                }
                return message;
            };

            return ExplainResponse;
        })();

        v1.Explanation = (function() {

            function Explanation(properties) {
                this.labels = [];
                if (properties)
                    for (var keys = Object.keys(properties), i = 0; i < keys.length; ++i)
                        if (properties[keys[i]] != null && keys[i] !== "__proto__")
                            this[keys[i]] = properties[keys[i]];
            }

            Explanation.prototype.label = "";
            Explanation.prototype.confidence = 0;
            Explanation.prototype.labels = $util.emptyArray;
            Explanation.prototype.featureCount = 0;
            Explanation.prototype.truncated = false;

            Explanation.encode = function encode(message, writer, q) {
                if (!writer)
                    writer = $Writer.create();
                if (q === undefined)
                    q = 0;
                if (q > $util.recursionLimit)
                    throw Error("max depth exceeded");
                if (message.label != null && Object.hasOwnProperty.call(message, "label"))
                    writer.uint32(10).string(message.label);
                if (message.confidence != null && Object.hasOwnProperty.call(message, "confidence"))
                    writer.uint32(21).float(message.confidence);
                if (message.labels != null && message.labels.length)
                    for (var i = 0; i < message.labels.length; ++i)
                        $root.tandem.v1.LabelExplanation.encode(message.labels[i], writer.uint32(26).fork(), q + 1).ldelim();
                if (message.featureCount != null && Object.hasOwnProperty.call(message, "featureCount"))
                    writer.uint32(32).int32(message.featureCount);
                if (message.truncated != null && Object.hasOwnProperty.call(message, "truncated"))
                    writer.uint32(40).bool(message.truncated);
                return writer;
            };

            Explanation.decode = function decode(reader, length, error, long) {
                if (!(reader instanceof $Reader))
                    reader = $Reader.create(reader);
                if (long === undefined)
                    long = 0;
                if (long > $Reader.recursionLimit)
                    throw Error("maximum nesting depth exceeded");
                var end, message;
                if (length === undefined)
                    end = reader.len;
                else {
                    end = reader.pos + length;
                    if (end > reader.len)
                        throw RangeError("index out of range");
                    length = reader.len;
                    reader.len = end;
                }
                message = new $root.tandem.v1.Explanation();
                while (reader.pos < end) {
                    var tag = reader.uint32();
                    if (tag === error)
                        break;
                    switch (tag >>> 3) {
                    case 1: {
                            message.label = reader.string();
                            break;
                        }
                    case 2: {
                            message.confidence = reader.float();
                            break;
                        }
                    case 3: {
                            if (!(message.labels && message.labels.length))
                                message.labels = [];
                            message.labels.push($root.tandem.v1.LabelExplanation.decode(reader, reader.uint32(), undefined, long + 1));
                            break;
                        }
                    case 4: {
                            message.featureCount = reader.int32();
                            break;
                        }
                    case 5: {
                            message.truncated = reader.bool();
                            break;
                        }
                    default:
                        reader.skipType(tag & 7, long);
                        break;
                    }
                }
                if (length !== undefined) {
                    if (reader.pos !== end)
                        throw RangeError("index out of range");
                    reader.len = length;
                }
                return message;
            };

            return Explanation;
        })();

        v1.LabelExplanation = (function() {

            function LabelExplanation(properties) {
                this.supporting = [];
                this.opposing = [];
                if (properties)
                    for (var keys = Object.keys(properties), i = 0; i < keys.length; ++i)
                        if (properties[keys[i]] != null && keys[i] !== "__proto__")
                            this[keys[i]] = properties[keys[i]];
            }

            LabelExplanation.prototype.label = "";
            LabelExplanation.prototype.logit = 0;
            LabelExplanation.prototype.bias = 0;
            LabelExplanation.prototype.otherContribution = 0;
            LabelExplanation.prototype.supporting = $util.emptyArray;
            LabelExplanation.prototype.opposing = $util.emptyArray;

            LabelExplanation.encode = function encode(message, writer, q) {
                if (!writer)
                    writer = $Writer.create();
                if (q === undefined)
                    q = 0;
                if (q > $util.recursionLimit)
                    throw Error("max depth exceeded");
                if (message.label != null && Object.hasOwnProperty.call(message, "label"))
                    writer.uint32(10).string(message.label);
                if (message.logit != null && Object.hasOwnProperty.call(message, "logit"))
                    writer.uint32(21).float(message.logit);
                if (message.bias != null && Object.hasOwnProperty.call(message, "bias"))
                    writer.uint32(29).float(message.bias);
                if (message.otherContribution != null && Object.hasOwnProperty.call(message, "otherContribution"))
                    writer.uint32(37).float(message.otherContribution);
                if (message.supporting != null && message.supporting.length)
                    for (var i = 0; i < message.supporting.length; ++i)
                        $root.tandem.v1.Contribution.encode(message.supporting[i], writer.uint32(42).fork(), q + 1).ldelim();
                if (message.opposing != null && message.opposing.length)
                    for (var i = 0; i < message.opposing.length; ++i)
                        $root.tandem.v1.Contribution.encode(message.opposing[i], writer.uint32(50).fork(), q + 1).ldelim();
                return writer;
            };

            LabelExplanation.decode = function decode(reader, length, error, long) {
                if (!(reader instanceof $Reader))
                    reader = $Reader.create(reader);
                if (long === undefined)
                    long = 0;
                if (long > $Reader.recursionLimit)
                    throw Error("maximum nesting depth exceeded");
                var end, message;
                if (length === undefined)
                    end = reader.len;
                else {
                    end = reader.pos + length;
                    if (end > reader.len)
                        throw RangeError("index out of range");
                    length = reader.len;
                    reader.len = end;
                }
                message = new $root.tandem.v1.LabelExplanation();
                while (reader.pos < end) {
                    var tag = reader.uint32();
                    if (tag === error)
                        break;
                    switch (tag >>> 3) {
                    case 1: {
                            message.label = reader.string();
                            break;
                        }
                    case 2: {
                            message.logit = reader.float();
                            break;
                        }
                    case 3: {
                            message.bias = reader.float();
                            break;
                        }
                    case 4: {
                            message.otherContribution = reader.float();
                            break;
                        }
                    case 5: {
                            if (!(message.supporting && message.supporting.length))
                                message.supporting = [];
                            message.supporting.push($root.tandem.v1.Contribution.decode(reader, reader.uint32(), undefined, long + 1));
                            break;
                        }
                    case 6: {
                            if (!(message.opposing && message.opposing.length))
                                message.opposing = [];
                            message.opposing.push($root.tandem.v1.Contribution.decode(reader, reader.uint32(), undefined, long + 1));
                            break;
                        }
                    default:
                        reader.skipType(tag & 7, long);
                        break;
                    }
                }
                if (length !== undefined) {
                    if (reader.pos !== end)
                        throw RangeError("index out of range");
                    reader.len = length;
                }
                return message;
            };

            return LabelExplanation;
        })();

        v1.Contribution = (function() {

            function Contribution(properties) {
                this.spans = [];
                if (properties)
                    for (var keys = Object.keys(properties), i = 0; i < keys.length; ++i)
                        if (properties[keys[i]] != null && keys[i] !== "__proto__")
                            this[keys[i]] = properties[keys[i]];
            }

            Contribution.prototype.contribution = 0;
            Contribution.prototype.spans = $util.emptyArray;
            Contribution.prototype.spanCount = 0;

            Contribution.encode = function encode(message, writer, q) {
                if (!writer)
                    writer = $Writer.create();
                if (q === undefined)
                    q = 0;
                if (q > $util.recursionLimit)
                    throw Error("max depth exceeded");
                if (message.contribution != null && Object.hasOwnProperty.call(message, "contribution"))
                    writer.uint32(13).float(message.contribution);
                if (message.spans != null && message.spans.length)
                    for (var i = 0; i < message.spans.length; ++i)
                        $root.tandem.v1.TextSpan.encode(message.spans[i], writer.uint32(18).fork(), q + 1).ldelim();
                if (message.spanCount != null && Object.hasOwnProperty.call(message, "spanCount"))
                    writer.uint32(24).int32(message.spanCount);
                return writer;
            };

            Contribution.decode = function decode(reader, length, error, long) {
                if (!(reader instanceof $Reader))
                    reader = $Reader.create(reader);
                if (long === undefined)
                    long = 0;
                if (long > $Reader.recursionLimit)
                    throw Error("maximum nesting depth exceeded");
                var end, message;
                if (length === undefined)
                    end = reader.len;
                else {
                    end = reader.pos + length;
                    if (end > reader.len)
                        throw RangeError("index out of range");
                    length = reader.len;
                    reader.len = end;
                }
                message = new $root.tandem.v1.Contribution();
                while (reader.pos < end) {
                    var tag = reader.uint32();
                    if (tag === error)
                        break;
                    switch (tag >>> 3) {
                    case 1: {
                            message.contribution = reader.float();
                            break;
                        }
                    case 2: {
                            if (!(message.spans && message.spans.length))
                                message.spans = [];
                            message.spans.push($root.tandem.v1.TextSpan.decode(reader, reader.uint32(), undefined, long + 1));
                            break;
                        }
                    case 3: {
                            message.spanCount = reader.int32();
                            break;
                        }
                    default:
                        reader.skipType(tag & 7, long);
                        break;
                    }
                }
                if (length !== undefined) {
                    if (reader.pos !== end)
                        throw RangeError("index out of range");
                    reader.len = length;
                }
                return message;
            };

            return Contribution;
        })();

        v1.TextSpan = (function() {

            function TextSpan(properties) {
                if (properties)
                    for (var keys = Object.keys(properties), i = 0; i < keys.length; ++i)
                        if (properties[keys[i]] != null && keys[i] !== "__proto__")
                            this[keys[i]] = properties[keys[i]];
            }

            TextSpan.prototype.startByte = 0;
            TextSpan.prototype.endByte = 0;

            TextSpan.encode = function encode(message, writer, q) {
                if (!writer)
                    writer = $Writer.create();
                if (q === undefined)
                    q = 0;
                if (q > $util.recursionLimit)
                    throw Error("max depth exceeded");
                if (message.startByte != null && Object.hasOwnProperty.call(message, "startByte"))
                    writer.uint32(8).int32(message.startByte);
                if (message.endByte != null && Object.hasOwnProperty.call(message, "endByte"))
                    writer.uint32(16).int32(message.endByte);
                return writer;
            };

            TextSpan.decode = function decode(reader, length, error, long) {
                if (!(reader instanceof $Reader))
                    reader = $Reader.create(reader);
                if (long === undefined)
                    long = 0;
                if (long > $Reader.recursionLimit)
                    throw Error("maximum nesting depth exceeded");
                var end, message;
                if (length === undefined)
                    end = reader.len;
                else {
                    end = reader.pos + length;
                    if (end > reader.len)
                        throw RangeError("index out of range");
                    length = reader.len;
                    reader.len = end;
                }
                message = new $root.tandem.v1.TextSpan();
                while (reader.pos < end) {
                    var tag = reader.uint32();
                    if (tag === error)
                        break;
                    switch (tag >>> 3) {
                    case 1: {
                            message.startByte = reader.int32();
                            break;
                        }
                    case 2: {
                            message.endByte = reader.int32();
                            break;
                        }
                    default:
                        reader.skipType(tag & 7, long);
                        break;
                    }
                }
                if (length !== undefined) {
                    if (reader.pos !== end)
                        throw RangeError("index out of range");
                    reader.len = length;
                }
                return message;
            };

            return TextSpan;
        })();

        v1.ModelRef = (function() {

            function ModelRef(properties) {
                if (properties)
                    for (var keys = Object.keys(properties), i = 0; i < keys.length; ++i)
                        if (properties[keys[i]] != null && keys[i] !== "__proto__")
                            this[keys[i]] = properties[keys[i]];
            }

            ModelRef.prototype.name = "";
            ModelRef.prototype.version = "";
            ModelRef.prototype.fingerprint = "";
            ModelRef.prototype.tier = 0;

            ModelRef.encode = function encode(message, writer, q) {
                if (!writer)
                    writer = $Writer.create();
                if (q === undefined)
                    q = 0;
                if (q > $util.recursionLimit)
                    throw Error("max depth exceeded");
                if (message.name != null && Object.hasOwnProperty.call(message, "name"))
                    writer.uint32(10).string(message.name);
                if (message.version != null && Object.hasOwnProperty.call(message, "version"))
                    writer.uint32(18).string(message.version);
                if (message.fingerprint != null && Object.hasOwnProperty.call(message, "fingerprint"))
                    writer.uint32(26).string(message.fingerprint);
                if (message.tier != null && Object.hasOwnProperty.call(message, "tier"))
                    writer.uint32(32).int32(message.tier);
                return writer;
            };

            ModelRef.decode = function decode(reader, length, error, long) {
                if (!(reader instanceof $Reader))
                    reader = $Reader.create(reader);
                if (long === undefined)
                    long = 0;
                if (long > $Reader.recursionLimit)
                    throw Error("maximum nesting depth exceeded");
                var end, message;
                if (length === undefined)
                    end = reader.len;
                else {
                    end = reader.pos + length;
                    if (end > reader.len)
                        throw RangeError("index out of range");
                    length = reader.len;
                    reader.len = end;
                }
                message = new $root.tandem.v1.ModelRef();
                while (reader.pos < end) {
                    var tag = reader.uint32();
                    if (tag === error)
                        break;
                    switch (tag >>> 3) {
                    case 1: {
                            message.name = reader.string();
                            break;
                        }
                    case 2: {
                            message.version = reader.string();
                            break;
                        }
                    case 3: {
                            message.fingerprint = reader.string();
                            break;
                        }
                    case 4: {
                            message.tier = reader.int32();
                            break;
                        }
                    default:
                        reader.skipType(tag & 7, long);
                        break;
                    }
                }
                if (length !== undefined) {
                    if (reader.pos !== end)
                        throw RangeError("index out of range");
                    reader.len = length;
                }
                return message;
            };

            return ModelRef;
        })();

        v1.Timing = (function() {

            function Timing(properties) {
                this.tiers = [];
                if (properties)
                    for (var keys = Object.keys(properties), i = 0; i < keys.length; ++i)
                        if (properties[keys[i]] != null && keys[i] !== "__proto__")
                            this[keys[i]] = properties[keys[i]];
            }

            Timing.prototype.totalDuration = null;
            Timing.prototype.preprocessDuration = null;
            Timing.prototype.queueDuration = null;
            Timing.prototype.inferenceDuration = null;
            Timing.prototype.tiers = $util.emptyArray;

            Timing.encode = function encode(message, writer, q) {
                if (!writer)
                    writer = $Writer.create();
                if (q === undefined)
                    q = 0;
                if (q > $util.recursionLimit)
                    throw Error("max depth exceeded");
                if (message.totalDuration != null && Object.hasOwnProperty.call(message, "totalDuration"))
                    $root.google.protobuf.Duration.encode(message.totalDuration, writer.uint32(10).fork(), q + 1).ldelim();
                if (message.preprocessDuration != null && Object.hasOwnProperty.call(message, "preprocessDuration"))
                    $root.google.protobuf.Duration.encode(message.preprocessDuration, writer.uint32(18).fork(), q + 1).ldelim();
                if (message.queueDuration != null && Object.hasOwnProperty.call(message, "queueDuration"))
                    $root.google.protobuf.Duration.encode(message.queueDuration, writer.uint32(26).fork(), q + 1).ldelim();
                if (message.inferenceDuration != null && Object.hasOwnProperty.call(message, "inferenceDuration"))
                    $root.google.protobuf.Duration.encode(message.inferenceDuration, writer.uint32(34).fork(), q + 1).ldelim();
                if (message.tiers != null && message.tiers.length)
                    for (var i = 0; i < message.tiers.length; ++i)
                        $root.tandem.v1.TierTiming.encode(message.tiers[i], writer.uint32(42).fork(), q + 1).ldelim();
                return writer;
            };

            Timing.decode = function decode(reader, length, error, long) {
                if (!(reader instanceof $Reader))
                    reader = $Reader.create(reader);
                if (long === undefined)
                    long = 0;
                if (long > $Reader.recursionLimit)
                    throw Error("maximum nesting depth exceeded");
                var end, message;
                if (length === undefined)
                    end = reader.len;
                else {
                    end = reader.pos + length;
                    if (end > reader.len)
                        throw RangeError("index out of range");
                    length = reader.len;
                    reader.len = end;
                }
                message = new $root.tandem.v1.Timing();
                while (reader.pos < end) {
                    var tag = reader.uint32();
                    if (tag === error)
                        break;
                    switch (tag >>> 3) {
                    case 1: {
                            message.totalDuration = $root.google.protobuf.Duration.decode(reader, reader.uint32(), undefined, long + 1);
                            break;
                        }
                    case 2: {
                            message.preprocessDuration = $root.google.protobuf.Duration.decode(reader, reader.uint32(), undefined, long + 1);
                            break;
                        }
                    case 3: {
                            message.queueDuration = $root.google.protobuf.Duration.decode(reader, reader.uint32(), undefined, long + 1);
                            break;
                        }
                    case 4: {
                            message.inferenceDuration = $root.google.protobuf.Duration.decode(reader, reader.uint32(), undefined, long + 1);
                            break;
                        }
                    case 5: {
                            if (!(message.tiers && message.tiers.length))
                                message.tiers = [];
                            message.tiers.push($root.tandem.v1.TierTiming.decode(reader, reader.uint32(), undefined, long + 1));
                            break;
                        }
                    default:
                        reader.skipType(tag & 7, long);
                        break;
                    }
                }
                if (length !== undefined) {
                    if (reader.pos !== end)
                        throw RangeError("index out of range");
                    reader.len = length;
                }
                return message;
            };

            return Timing;
        })();

        v1.TierTiming = (function() {

            function TierTiming(properties) {
                if (properties)
                    for (var keys = Object.keys(properties), i = 0; i < keys.length; ++i)
                        if (properties[keys[i]] != null && keys[i] !== "__proto__")
                            this[keys[i]] = properties[keys[i]];
            }

            TierTiming.prototype.tier = 0;
            TierTiming.prototype.queueDuration = null;
            TierTiming.prototype.inferenceDuration = null;
            TierTiming.prototype.batchTextCount = 0;

            TierTiming.encode = function encode(message, writer, q) {
                if (!writer)
                    writer = $Writer.create();
                if (q === undefined)
                    q = 0;
                if (q > $util.recursionLimit)
                    throw Error("max depth exceeded");
                if (message.tier != null && Object.hasOwnProperty.call(message, "tier"))
                    writer.uint32(8).int32(message.tier);
                if (message.queueDuration != null && Object.hasOwnProperty.call(message, "queueDuration"))
                    $root.google.protobuf.Duration.encode(message.queueDuration, writer.uint32(18).fork(), q + 1).ldelim();
                if (message.inferenceDuration != null && Object.hasOwnProperty.call(message, "inferenceDuration"))
                    $root.google.protobuf.Duration.encode(message.inferenceDuration, writer.uint32(26).fork(), q + 1).ldelim();
                if (message.batchTextCount != null && Object.hasOwnProperty.call(message, "batchTextCount"))
                    writer.uint32(32).int32(message.batchTextCount);
                return writer;
            };

            TierTiming.decode = function decode(reader, length, error, long) {
                if (!(reader instanceof $Reader))
                    reader = $Reader.create(reader);
                if (long === undefined)
                    long = 0;
                if (long > $Reader.recursionLimit)
                    throw Error("maximum nesting depth exceeded");
                var end, message;
                if (length === undefined)
                    end = reader.len;
                else {
                    end = reader.pos + length;
                    if (end > reader.len)
                        throw RangeError("index out of range");
                    length = reader.len;
                    reader.len = end;
                }
                message = new $root.tandem.v1.TierTiming();
                while (reader.pos < end) {
                    var tag = reader.uint32();
                    if (tag === error)
                        break;
                    switch (tag >>> 3) {
                    case 1: {
                            message.tier = reader.int32();
                            break;
                        }
                    case 2: {
                            message.queueDuration = $root.google.protobuf.Duration.decode(reader, reader.uint32(), undefined, long + 1);
                            break;
                        }
                    case 3: {
                            message.inferenceDuration = $root.google.protobuf.Duration.decode(reader, reader.uint32(), undefined, long + 1);
                            break;
                        }
                    case 4: {
                            message.batchTextCount = reader.int32();
                            break;
                        }
                    default:
                        reader.skipType(tag & 7, long);
                        break;
                    }
                }
                if (length !== undefined) {
                    if (reader.pos !== end)
                        throw RangeError("index out of range");
                    reader.len = length;
                }
                return message;
            };

            return TierTiming;
        })();

        v1.HealthRequest = (function() {

            function HealthRequest(properties) {
                if (properties)
                    for (var keys = Object.keys(properties), i = 0; i < keys.length; ++i)
                        if (properties[keys[i]] != null && keys[i] !== "__proto__")
                            this[keys[i]] = properties[keys[i]];
            }

            HealthRequest.encode = function encode(message, writer, q) {
                if (!writer)
                    writer = $Writer.create();
                if (q === undefined)
                    q = 0;
                if (q > $util.recursionLimit)
                    throw Error("max depth exceeded");
                return writer;
            };

            HealthRequest.decode = function decode(reader, length, error, long) {
                if (!(reader instanceof $Reader))
                    reader = $Reader.create(reader);
                if (long === undefined)
                    long = 0;
                if (long > $Reader.recursionLimit)
                    throw Error("maximum nesting depth exceeded");
                var end, message;
                if (length === undefined)
                    end = reader.len;
                else {
                    end = reader.pos + length;
                    if (end > reader.len)
                        throw RangeError("index out of range");
                    length = reader.len;
                    reader.len = end;
                }
                message = new $root.tandem.v1.HealthRequest();
                while (reader.pos < end) {
                    var tag = reader.uint32();
                    if (tag === error)
                        break;
                    switch (tag >>> 3) {
                    default:
                        reader.skipType(tag & 7, long);
                        break;
                    }
                }
                if (length !== undefined) {
                    if (reader.pos !== end)
                        throw RangeError("index out of range");
                    reader.len = length;
                }
                return message;
            };

            return HealthRequest;
        })();

        v1.HealthResponse = (function() {

            function HealthResponse(properties) {
                this.models = [];
                this.certificates = [];
                if (properties)
                    for (var keys = Object.keys(properties), i = 0; i < keys.length; ++i)
                        if (properties[keys[i]] != null && keys[i] !== "__proto__")
                            this[keys[i]] = properties[keys[i]];
            }

            HealthResponse.prototype.state = 0;
            HealthResponse.prototype.version = "";
            HealthResponse.prototype.uptimeDuration = null;
            HealthResponse.prototype.models = $util.emptyArray;
            HealthResponse.prototype.maxTextCount = 0;
            HealthResponse.prototype.maxTextSizeBytes = 0;
            HealthResponse.prototype.certificates = $util.emptyArray;

            HealthResponse.encode = function encode(message, writer, q) {
                if (!writer)
                    writer = $Writer.create();
                if (q === undefined)
                    q = 0;
                if (q > $util.recursionLimit)
                    throw Error("max depth exceeded");
                if (message.state != null && Object.hasOwnProperty.call(message, "state"))
                    writer.uint32(8).int32(message.state);
                if (message.version != null && Object.hasOwnProperty.call(message, "version"))
                    writer.uint32(18).string(message.version);
                if (message.uptimeDuration != null && Object.hasOwnProperty.call(message, "uptimeDuration"))
                    $root.google.protobuf.Duration.encode(message.uptimeDuration, writer.uint32(26).fork(), q + 1).ldelim();
                if (message.models != null && message.models.length)
                    for (var i = 0; i < message.models.length; ++i)
                        $root.tandem.v1.ModelHealth.encode(message.models[i], writer.uint32(34).fork(), q + 1).ldelim();
                if (message.maxTextCount != null && Object.hasOwnProperty.call(message, "maxTextCount"))
                    writer.uint32(40).int32(message.maxTextCount);
                if (message.maxTextSizeBytes != null && Object.hasOwnProperty.call(message, "maxTextSizeBytes"))
                    writer.uint32(48).int32(message.maxTextSizeBytes);
                if (message.certificates != null && message.certificates.length)
                    for (var i = 0; i < message.certificates.length; ++i)
                        $root.tandem.v1.TaskCertificate.encode(message.certificates[i], writer.uint32(58).fork(), q + 1).ldelim();
                return writer;
            };

            HealthResponse.decode = function decode(reader, length, error, long) {
                if (!(reader instanceof $Reader))
                    reader = $Reader.create(reader);
                if (long === undefined)
                    long = 0;
                if (long > $Reader.recursionLimit)
                    throw Error("maximum nesting depth exceeded");
                var end, message;
                if (length === undefined)
                    end = reader.len;
                else {
                    end = reader.pos + length;
                    if (end > reader.len)
                        throw RangeError("index out of range");
                    length = reader.len;
                    reader.len = end;
                }
                message = new $root.tandem.v1.HealthResponse();
                while (reader.pos < end) {
                    var tag = reader.uint32();
                    if (tag === error)
                        break;
                    switch (tag >>> 3) {
                    case 1: {
                            message.state = reader.int32();
                            break;
                        }
                    case 2: {
                            message.version = reader.string();
                            break;
                        }
                    case 3: {
                            message.uptimeDuration = $root.google.protobuf.Duration.decode(reader, reader.uint32(), undefined, long + 1);
                            break;
                        }
                    case 4: {
                            if (!(message.models && message.models.length))
                                message.models = [];
                            message.models.push($root.tandem.v1.ModelHealth.decode(reader, reader.uint32(), undefined, long + 1));
                            break;
                        }
                    case 5: {
                            message.maxTextCount = reader.int32();
                            break;
                        }
                    case 6: {
                            message.maxTextSizeBytes = reader.int32();
                            break;
                        }
                    case 7: {
                            if (!(message.certificates && message.certificates.length))
                                message.certificates = [];
                            message.certificates.push($root.tandem.v1.TaskCertificate.decode(reader, reader.uint32(), undefined, long + 1));
                            break;
                        }
                    default:
                        reader.skipType(tag & 7, long);
                        break;
                    }
                }
                if (length !== undefined) {
                    if (reader.pos !== end)
                        throw RangeError("index out of range");
                    reader.len = length;
                }
                return message;
            };

            return HealthResponse;
        })();

        v1.TaskCertificate = (function() {

            function TaskCertificate(properties) {
                this.models = [];
                if (properties)
                    for (var keys = Object.keys(properties), i = 0; i < keys.length; ++i)
                        if (properties[keys[i]] != null && keys[i] !== "__proto__")
                            this[keys[i]] = properties[keys[i]];
            }

            TaskCertificate.prototype.task = "";
            TaskCertificate.prototype.models = $util.emptyArray;
            TaskCertificate.prototype.measure = "";
            TaskCertificate.prototype.label = "";
            TaskCertificate.prototype.atLeast = 0;
            TaskCertificate.prototype.confidence = 0;
            TaskCertificate.prototype.minConfidence = 0;
            TaskCertificate.prototype.inForce = false;
            TaskCertificate.prototype.textCount = $util.Long ? $util.Long.fromBits(0,0,false) : 0;
            TaskCertificate.prototype.measuredAt = "";
            TaskCertificate.prototype.alarm = false;

            TaskCertificate.encode = function encode(message, writer, q) {
                if (!writer)
                    writer = $Writer.create();
                if (q === undefined)
                    q = 0;
                if (q > $util.recursionLimit)
                    throw Error("max depth exceeded");
                if (message.task != null && Object.hasOwnProperty.call(message, "task"))
                    writer.uint32(10).string(message.task);
                if (message.models != null && message.models.length)
                    for (var i = 0; i < message.models.length; ++i)
                        $root.tandem.v1.ModelRef.encode(message.models[i], writer.uint32(18).fork(), q + 1).ldelim();
                if (message.measure != null && Object.hasOwnProperty.call(message, "measure"))
                    writer.uint32(26).string(message.measure);
                if (message.label != null && Object.hasOwnProperty.call(message, "label"))
                    writer.uint32(34).string(message.label);
                if (message.atLeast != null && Object.hasOwnProperty.call(message, "atLeast"))
                    writer.uint32(41).double(message.atLeast);
                if (message.confidence != null && Object.hasOwnProperty.call(message, "confidence"))
                    writer.uint32(49).double(message.confidence);
                if (message.minConfidence != null && Object.hasOwnProperty.call(message, "minConfidence"))
                    writer.uint32(61).float(message.minConfidence);
                if (message.inForce != null && Object.hasOwnProperty.call(message, "inForce"))
                    writer.uint32(64).bool(message.inForce);
                if (message.textCount != null && Object.hasOwnProperty.call(message, "textCount"))
                    writer.uint32(72).int64(message.textCount);
                if (message.measuredAt != null && Object.hasOwnProperty.call(message, "measuredAt"))
                    writer.uint32(82).string(message.measuredAt);
                if (message.alarm != null && Object.hasOwnProperty.call(message, "alarm"))
                    writer.uint32(88).bool(message.alarm);
                return writer;
            };

            TaskCertificate.decode = function decode(reader, length, error, long) {
                if (!(reader instanceof $Reader))
                    reader = $Reader.create(reader);
                if (long === undefined)
                    long = 0;
                if (long > $Reader.recursionLimit)
                    throw Error("maximum nesting depth exceeded");
                var end, message;
                if (length === undefined)
                    end = reader.len;
                else {
                    end = reader.pos + length;
                    if (end > reader.len)
                        throw RangeError("index out of range");
                    length = reader.len;
                    reader.len = end;
                }
                message = new $root.tandem.v1.TaskCertificate();
                while (reader.pos < end) {
                    var tag = reader.uint32();
                    if (tag === error)
                        break;
                    switch (tag >>> 3) {
                    case 1: {
                            message.task = reader.string();
                            break;
                        }
                    case 2: {
                            if (!(message.models && message.models.length))
                                message.models = [];
                            message.models.push($root.tandem.v1.ModelRef.decode(reader, reader.uint32(), undefined, long + 1));
                            break;
                        }
                    case 3: {
                            message.measure = reader.string();
                            break;
                        }
                    case 4: {
                            message.label = reader.string();
                            break;
                        }
                    case 5: {
                            message.atLeast = reader.double();
                            break;
                        }
                    case 6: {
                            message.confidence = reader.double();
                            break;
                        }
                    case 7: {
                            message.minConfidence = reader.float();
                            break;
                        }
                    case 8: {
                            message.inForce = reader.bool();
                            break;
                        }
                    case 9: {
                            message.textCount = reader.int64();
                            break;
                        }
                    case 10: {
                            message.measuredAt = reader.string();
                            break;
                        }
                    case 11: {
                            message.alarm = reader.bool();
                            break;
                        }
                    default:
                        reader.skipType(tag & 7, long);
                        break;
                    }
                }
                if (length !== undefined) {
                    if (reader.pos !== end)
                        throw RangeError("index out of range");
                    reader.len = length;
                }
                return message;
            };

            return TaskCertificate;
        })();

        v1.ModelHealth = (function() {

            function ModelHealth(properties) {
                this.labels = [];
                this.tasks = [];
                this.executionProviders = [];
                if (properties)
                    for (var keys = Object.keys(properties), i = 0; i < keys.length; ++i)
                        if (properties[keys[i]] != null && keys[i] !== "__proto__")
                            this[keys[i]] = properties[keys[i]];
            }

            ModelHealth.prototype.model = null;
            ModelHealth.prototype.state = 0;
            ModelHealth.prototype.message = "";
            ModelHealth.prototype.queuedTextCount = 0;
            ModelHealth.prototype.labels = $util.emptyArray;
            ModelHealth.prototype.maxTokenCount = 0;
            ModelHealth.prototype.tasks = $util.emptyArray;
            ModelHealth.prototype.verified = false;
            ModelHealth.prototype.executionProviders = $util.emptyArray;

            ModelHealth.encode = function encode(message, writer, q) {
                if (!writer)
                    writer = $Writer.create();
                if (q === undefined)
                    q = 0;
                if (q > $util.recursionLimit)
                    throw Error("max depth exceeded");
                if (message.model != null && Object.hasOwnProperty.call(message, "model"))
                    $root.tandem.v1.ModelRef.encode(message.model, writer.uint32(10).fork(), q + 1).ldelim();
                if (message.state != null && Object.hasOwnProperty.call(message, "state"))
                    writer.uint32(16).int32(message.state);
                if (message.message != null && Object.hasOwnProperty.call(message, "message"))
                    writer.uint32(26).string(message.message);
                if (message.queuedTextCount != null && Object.hasOwnProperty.call(message, "queuedTextCount"))
                    writer.uint32(32).int32(message.queuedTextCount);
                if (message.labels != null && message.labels.length)
                    for (var i = 0; i < message.labels.length; ++i)
                        writer.uint32(42).string(message.labels[i]);
                if (message.maxTokenCount != null && Object.hasOwnProperty.call(message, "maxTokenCount"))
                    writer.uint32(48).int32(message.maxTokenCount);
                if (message.tasks != null && message.tasks.length)
                    for (var i = 0; i < message.tasks.length; ++i)
                        writer.uint32(58).string(message.tasks[i]);
                if (message.verified != null && Object.hasOwnProperty.call(message, "verified"))
                    writer.uint32(64).bool(message.verified);
                if (message.executionProviders != null && message.executionProviders.length)
                    for (var i = 0; i < message.executionProviders.length; ++i)
                        $root.tandem.v1.ExecutionProvider.encode(message.executionProviders[i], writer.uint32(74).fork(), q + 1).ldelim();
                return writer;
            };

            ModelHealth.decode = function decode(reader, length, error, long) {
                if (!(reader instanceof $Reader))
                    reader = $Reader.create(reader);
                if (long === undefined)
                    long = 0;
                if (long > $Reader.recursionLimit)
                    throw Error("maximum nesting depth exceeded");
                var end, message;
                if (length === undefined)
                    end = reader.len;
                else {
                    end = reader.pos + length;
                    if (end > reader.len)
                        throw RangeError("index out of range");
                    length = reader.len;
                    reader.len = end;
                }
                message = new $root.tandem.v1.ModelHealth();
                while (reader.pos < end) {
                    var tag = reader.uint32();
                    if (tag === error)
                        break;
                    switch (tag >>> 3) {
                    case 1: {
                            message.model = $root.tandem.v1.ModelRef.decode(reader, reader.uint32(), undefined, long + 1);
                            break;
                        }
                    case 2: {
                            message.state = reader.int32();
                            break;
                        }
                    case 3: {
                            message.message = reader.string();
                            break;
                        }
                    case 4: {
                            message.queuedTextCount = reader.int32();
                            break;
                        }
                    case 5: {
                            if (!(message.labels && message.labels.length))
                                message.labels = [];
                            message.labels.push(reader.string());
                            break;
                        }
                    case 6: {
                            message.maxTokenCount = reader.int32();
                            break;
                        }
                    case 7: {
                            if (!(message.tasks && message.tasks.length))
                                message.tasks = [];
                            message.tasks.push(reader.string());
                            break;
                        }
                    case 8: {
                            message.verified = reader.bool();
                            break;
                        }
                    case 9: {
                            if (!(message.executionProviders && message.executionProviders.length))
                                message.executionProviders = [];
                            message.executionProviders.push($root.tandem.v1.ExecutionProvider.decode(reader, reader.uint32(), undefined, long + 1));
                            break;
                        }
                    default:
                        reader.skipType(tag & 7, long);
                        break;
                    }
                }
                if (length !== undefined) {
                    if (reader.pos !== end)
                        throw RangeError("index out of range");
                    reader.len = length;
                }
                return message;
            };

            return ModelHealth;
        })();

        v1.ExecutionProvider = (function() {

            function ExecutionProvider(properties) {
                if (properties)
                    for (var keys = Object.keys(properties), i = 0; i < keys.length; ++i)
                        if (properties[keys[i]] != null && keys[i] !== "__proto__")
                            this[keys[i]] = properties[keys[i]];
            }

            ExecutionProvider.prototype.name = "";
            ExecutionProvider.prototype.nodeCount = 0;

            ExecutionProvider.encode = function encode(message, writer, q) {
                if (!writer)
                    writer = $Writer.create();
                if (q === undefined)
                    q = 0;
                if (q > $util.recursionLimit)
                    throw Error("max depth exceeded");
                if (message.name != null && Object.hasOwnProperty.call(message, "name"))
                    writer.uint32(10).string(message.name);
                if (message.nodeCount != null && Object.hasOwnProperty.call(message, "nodeCount"))
                    writer.uint32(16).int32(message.nodeCount);
                return writer;
            };

            ExecutionProvider.decode = function decode(reader, length, error, long) {
                if (!(reader instanceof $Reader))
                    reader = $Reader.create(reader);
                if (long === undefined)
                    long = 0;
                if (long > $Reader.recursionLimit)
                    throw Error("maximum nesting depth exceeded");
                var end, message;
                if (length === undefined)
                    end = reader.len;
                else {
                    end = reader.pos + length;
                    if (end > reader.len)
                        throw RangeError("index out of range");
                    length = reader.len;
                    reader.len = end;
                }
                message = new $root.tandem.v1.ExecutionProvider();
                while (reader.pos < end) {
                    var tag = reader.uint32();
                    if (tag === error)
                        break;
                    switch (tag >>> 3) {
                    case 1: {
                            message.name = reader.string();
                            break;
                        }
                    case 2: {
                            message.nodeCount = reader.int32();
                            break;
                        }
                    default:
                        reader.skipType(tag & 7, long);
                        break;
                    }
                }
                if (length !== undefined) {
                    if (reader.pos !== end)
                        throw RangeError("index out of range");
                    reader.len = length;
                }
                return message;
            };

            return ExecutionProvider;
        })();

        v1.Route = (function() {
            var valuesById = {}, values = Object.create(valuesById);
            values[valuesById[0] = "ROUTE_UNSPECIFIED"] = 0;
            values[valuesById[1] = "ROUTE_FAST"] = 1;
            values[valuesById[2] = "ROUTE_DEEP"] = 2;
            values[valuesById[3] = "ROUTE_CASCADE"] = 3;
            return values;
        })();

        v1.Tier = (function() {
            var valuesById = {}, values = Object.create(valuesById);
            values[valuesById[0] = "TIER_UNSPECIFIED"] = 0;
            values[valuesById[1] = "TIER_FAST"] = 1;
            values[valuesById[2] = "TIER_DEEP"] = 2;
            return values;
        })();

        v1.Decision = (function() {
            var valuesById = {}, values = Object.create(valuesById);
            values[valuesById[0] = "DECISION_UNSPECIFIED"] = 0;
            values[valuesById[1] = "DECISION_REQUESTED"] = 1;
            values[valuesById[2] = "DECISION_CONFIDENT"] = 2;
            values[valuesById[3] = "DECISION_ESCALATED"] = 3;
            values[valuesById[4] = "DECISION_FALLBACK_DEADLINE"] = 4;
            values[valuesById[5] = "DECISION_FALLBACK_OVERLOAD"] = 5;
            values[valuesById[6] = "DECISION_ABSTAINED"] = 6;
            return values;
        })();

        v1.ScoreKind = (function() {
            var valuesById = {}, values = Object.create(valuesById);
            values[valuesById[0] = "SCORE_KIND_UNSPECIFIED"] = 0;
            values[valuesById[1] = "SCORE_KIND_PROBABILITY"] = 1;
            values[valuesById[2] = "SCORE_KIND_LOGIT"] = 2;
            return values;
        })();

        v1.Truncation = (function() {
            var valuesById = {}, values = Object.create(valuesById);
            values[valuesById[0] = "TRUNCATION_UNSPECIFIED"] = 0;
            values[valuesById[1] = "TRUNCATION_END"] = 1;
            values[valuesById[2] = "TRUNCATION_START"] = 2;
            values[valuesById[3] = "TRUNCATION_REJECT"] = 3;
            values[valuesById[4] = "TRUNCATION_WINDOWS"] = 4;
            return values;
        })();

        v1.Priority = (function() {
            var valuesById = {}, values = Object.create(valuesById);
            values[valuesById[0] = "PRIORITY_UNSPECIFIED"] = 0;
            values[valuesById[1] = "PRIORITY_INTERACTIVE"] = 1;
            values[valuesById[2] = "PRIORITY_NORMAL"] = 2;
            values[valuesById[3] = "PRIORITY_BULK"] = 3;
            return values;
        })();

        v1.ServingState = (function() {
            var valuesById = {}, values = Object.create(valuesById);
            values[valuesById[0] = "SERVING_STATE_UNSPECIFIED"] = 0;
            values[valuesById[1] = "SERVING_STATE_LOADING"] = 1;
            values[valuesById[2] = "SERVING_STATE_SERVING"] = 2;
            values[valuesById[3] = "SERVING_STATE_DRAINING"] = 3;
            values[valuesById[4] = "SERVING_STATE_FAILED"] = 4;
            return values;
        })();

        return v1;
    })();

    return tandem;
})();

$root.google = (function() {

    var google = {};

    google.protobuf = (function() {

        var protobuf = {};

        protobuf.Duration = (function() {

            function Duration(properties) {
                if (properties)
                    for (var keys = Object.keys(properties), i = 0; i < keys.length; ++i)
                        if (properties[keys[i]] != null && keys[i] !== "__proto__")
                            this[keys[i]] = properties[keys[i]];
            }

            Duration.prototype.seconds = $util.Long ? $util.Long.fromBits(0,0,false) : 0;
            Duration.prototype.nanos = 0;

            Duration.encode = function encode(message, writer, q) {
                if (!writer)
                    writer = $Writer.create();
                if (q === undefined)
                    q = 0;
                if (q > $util.recursionLimit)
                    throw Error("max depth exceeded");
                if (message.seconds != null && Object.hasOwnProperty.call(message, "seconds"))
                    writer.uint32(8).int64(message.seconds);
                if (message.nanos != null && Object.hasOwnProperty.call(message, "nanos"))
                    writer.uint32(16).int32(message.nanos);
                return writer;
            };

            Duration.decode = function decode(reader, length, error, long) {
                if (!(reader instanceof $Reader))
                    reader = $Reader.create(reader);
                if (long === undefined)
                    long = 0;
                if (long > $Reader.recursionLimit)
                    throw Error("maximum nesting depth exceeded");
                var end, message;
                if (length === undefined)
                    end = reader.len;
                else {
                    end = reader.pos + length;
                    if (end > reader.len)
                        throw RangeError("index out of range");
                    length = reader.len;
                    reader.len = end;
                }
                message = new $root.google.protobuf.Duration();
                while (reader.pos < end) {
                    var tag = reader.uint32();
                    if (tag === error)
                        break;
                    switch (tag >>> 3) {
                    case 1: {
                            message.seconds = reader.int64();
                            break;
                        }
                    case 2: {
                            message.nanos = reader.int32();
                            break;
                        }
                    default:
                        reader.skipType(tag & 7, long);
                        break;
                    }
                }
                if (length !== undefined) {
                    if (reader.pos !== end)
                        throw RangeError("index out of range");
                    reader.len = length;
                }
                return message;
            };

            return Duration;
        })();

        protobuf.Any = (function() {

            function Any(properties) {
                if (properties)
                    for (var keys = Object.keys(properties), i = 0; i < keys.length; ++i)
                        if (properties[keys[i]] != null && keys[i] !== "__proto__")
                            this[keys[i]] = properties[keys[i]];
            }

            Any.prototype.type_url = "";
            Any.prototype.value = $util.newBuffer([]);

            Any.encode = function encode(message, writer, q) {
                if (!writer)
                    writer = $Writer.create();
                if (q === undefined)
                    q = 0;
                if (q > $util.recursionLimit)
                    throw Error("max depth exceeded");
                if (message.type_url != null && Object.hasOwnProperty.call(message, "type_url"))
                    writer.uint32(10).string(message.type_url);
                if (message.value != null && Object.hasOwnProperty.call(message, "value"))
                    writer.uint32(18).bytes(message.value);
                return writer;
            };

            Any.decode = function decode(reader, length, error, long) {
                if (!(reader instanceof $Reader))
                    reader = $Reader.create(reader);
                if (long === undefined)
                    long = 0;
                if (long > $Reader.recursionLimit)
                    throw Error("maximum nesting depth exceeded");
                var end, message;
                if (length === undefined)
                    end = reader.len;
                else {
                    end = reader.pos + length;
                    if (end > reader.len)
                        throw RangeError("index out of range");
                    length = reader.len;
                    reader.len = end;
                }
                message = new $root.google.protobuf.Any();
                while (reader.pos < end) {
                    var tag = reader.uint32();
                    if (tag === error)
                        break;
                    switch (tag >>> 3) {
                    case 1: {
                            message.type_url = reader.string();
                            break;
                        }
                    case 2: {
                            message.value = reader.bytes();
                            break;
                        }
                    default:
                        reader.skipType(tag & 7, long);
                        break;
                    }
                }
                if (length !== undefined) {
                    if (reader.pos !== end)
                        throw RangeError("index out of range");
                    reader.len = length;
                }
                return message;
            };

            return Any;
        })();

        return protobuf;
    })();

    google.rpc = (function() {

        var rpc = {};

        rpc.Status = (function() {

            function Status(properties) {
                this.details = [];
                if (properties)
                    for (var keys = Object.keys(properties), i = 0; i < keys.length; ++i)
                        if (properties[keys[i]] != null && keys[i] !== "__proto__")
                            this[keys[i]] = properties[keys[i]];
            }

            Status.prototype.code = 0;
            Status.prototype.message = "";
            Status.prototype.details = $util.emptyArray;

            Status.encode = function encode(message, writer, q) {
                if (!writer)
                    writer = $Writer.create();
                if (q === undefined)
                    q = 0;
                if (q > $util.recursionLimit)
                    throw Error("max depth exceeded");
                if (message.code != null && Object.hasOwnProperty.call(message, "code"))
                    writer.uint32(8).int32(message.code);
                if (message.message != null && Object.hasOwnProperty.call(message, "message"))
                    writer.uint32(18).string(message.message);
                if (message.details != null && message.details.length)
                    for (var i = 0; i < message.details.length; ++i)
                        $root.google.protobuf.Any.encode(message.details[i], writer.uint32(26).fork(), q + 1).ldelim();
                return writer;
            };

            Status.decode = function decode(reader, length, error, long) {
                if (!(reader instanceof $Reader))
                    reader = $Reader.create(reader);
                if (long === undefined)
                    long = 0;
                if (long > $Reader.recursionLimit)
                    throw Error("maximum nesting depth exceeded");
                var end, message;
                if (length === undefined)
                    end = reader.len;
                else {
                    end = reader.pos + length;
                    if (end > reader.len)
                        throw RangeError("index out of range");
                    length = reader.len;
                    reader.len = end;
                }
                message = new $root.google.rpc.Status();
                while (reader.pos < end) {
                    var tag = reader.uint32();
                    if (tag === error)
                        break;
                    switch (tag >>> 3) {
                    case 1: {
                            message.code = reader.int32();
                            break;
                        }
                    case 2: {
                            message.message = reader.string();
                            break;
                        }
                    case 3: {
                            if (!(message.details && message.details.length))
                                message.details = [];
                            message.details.push($root.google.protobuf.Any.decode(reader, reader.uint32(), undefined, long + 1));
                            break;
                        }
                    default:
                        reader.skipType(tag & 7, long);
                        break;
                    }
                }
                if (length !== undefined) {
                    if (reader.pos !== end)
                        throw RangeError("index out of range");
                    reader.len = length;
                }
                return message;
            };

            return Status;
        })();

        rpc.ErrorInfo = (function() {

            function ErrorInfo(properties) {
                this.metadata = {};
                if (properties)
                    for (var keys = Object.keys(properties), i = 0; i < keys.length; ++i)
                        if (properties[keys[i]] != null && keys[i] !== "__proto__")
                            this[keys[i]] = properties[keys[i]];
            }

            ErrorInfo.prototype.reason = "";
            ErrorInfo.prototype.domain = "";
            ErrorInfo.prototype.metadata = $util.emptyObject;

            ErrorInfo.encode = function encode(message, writer, q) {
                if (!writer)
                    writer = $Writer.create();
                if (q === undefined)
                    q = 0;
                if (q > $util.recursionLimit)
                    throw Error("max depth exceeded");
                if (message.reason != null && Object.hasOwnProperty.call(message, "reason"))
                    writer.uint32(10).string(message.reason);
                if (message.domain != null && Object.hasOwnProperty.call(message, "domain"))
                    writer.uint32(18).string(message.domain);
                if (message.metadata != null && Object.hasOwnProperty.call(message, "metadata"))
                    for (var keys = Object.keys(message.metadata), i = 0; i < keys.length; ++i)
                        writer.uint32(26).fork().uint32(10).string(keys[i]).uint32(18).string(message.metadata[keys[i]]).ldelim();
                return writer;
            };

            ErrorInfo.decode = function decode(reader, length, error, long) {
                if (!(reader instanceof $Reader))
                    reader = $Reader.create(reader);
                if (long === undefined)
                    long = 0;
                if (long > $Reader.recursionLimit)
                    throw Error("maximum nesting depth exceeded");
                var end, message, key, value;
                if (length === undefined)
                    end = reader.len;
                else {
                    end = reader.pos + length;
                    if (end > reader.len)
                        throw RangeError("index out of range");
                    length = reader.len;
                    reader.len = end;
                }
                message = new $root.google.rpc.ErrorInfo();
                while (reader.pos < end) {
                    var tag = reader.uint32();
                    if (tag === error)
                        break;
                    switch (tag >>> 3) {
                    case 1: {
                            message.reason = reader.string();
                            break;
                        }
                    case 2: {
                            message.domain = reader.string();
                            break;
                        }
                    case 3: {
                            if (message.metadata === $util.emptyObject)
                                message.metadata = {};
                            var end2 = reader.uint32() + reader.pos;
                            if (end2 > reader.len)
                                throw RangeError("index out of range");
                            reader.len = end2;
                            key = "";
                            value = "";
                            while (reader.pos < end2) {
                                var tag2 = reader.uint32();
                                switch (tag2 >>> 3) {
                                case 1:
                                    key = reader.string();
                                    break;
                                case 2:
                                    value = reader.string();
                                    break;
                                default:
                                    reader.skipType(tag2 & 7, long);
                                    break;
                                }
                            }
                            if (reader.pos !== end2)
                                throw RangeError("index out of range");
                            reader.len = end;
                            if (key === "__proto__")
                                $util.makeProp(message.metadata, key);
                            message.metadata[key] = value;
                            break;
                        }
                    default:
                        reader.skipType(tag & 7, long);
                        break;
                    }
                }
                if (length !== undefined) {
                    if (reader.pos !== end)
                        throw RangeError("index out of range");
                    reader.len = length;
                }
                return message;
            };

            return ErrorInfo;
        })();

        rpc.RetryInfo = (function() {

            function RetryInfo(properties) {
                if (properties)
                    for (var keys = Object.keys(properties), i = 0; i < keys.length; ++i)
                        if (properties[keys[i]] != null && keys[i] !== "__proto__")
                            this[keys[i]] = properties[keys[i]];
            }

            RetryInfo.prototype.retryDelay = null;

            RetryInfo.encode = function encode(message, writer, q) {
                if (!writer)
                    writer = $Writer.create();
                if (q === undefined)
                    q = 0;
                if (q > $util.recursionLimit)
                    throw Error("max depth exceeded");
                if (message.retryDelay != null && Object.hasOwnProperty.call(message, "retryDelay"))
                    $root.google.protobuf.Duration.encode(message.retryDelay, writer.uint32(10).fork(), q + 1).ldelim();
                return writer;
            };

            RetryInfo.decode = function decode(reader, length, error, long) {
                if (!(reader instanceof $Reader))
                    reader = $Reader.create(reader);
                if (long === undefined)
                    long = 0;
                if (long > $Reader.recursionLimit)
                    throw Error("maximum nesting depth exceeded");
                var end, message;
                if (length === undefined)
                    end = reader.len;
                else {
                    end = reader.pos + length;
                    if (end > reader.len)
                        throw RangeError("index out of range");
                    length = reader.len;
                    reader.len = end;
                }
                message = new $root.google.rpc.RetryInfo();
                while (reader.pos < end) {
                    var tag = reader.uint32();
                    if (tag === error)
                        break;
                    switch (tag >>> 3) {
                    case 1: {
                            message.retryDelay = $root.google.protobuf.Duration.decode(reader, reader.uint32(), undefined, long + 1);
                            break;
                        }
                    default:
                        reader.skipType(tag & 7, long);
                        break;
                    }
                }
                if (length !== undefined) {
                    if (reader.pos !== end)
                        throw RangeError("index out of range");
                    reader.len = length;
                }
                return message;
            };

            return RetryInfo;
        })();

        rpc.DebugInfo = (function() {

            function DebugInfo(properties) {
                this.stackEntries = [];
                if (properties)
                    for (var keys = Object.keys(properties), i = 0; i < keys.length; ++i)
                        if (properties[keys[i]] != null && keys[i] !== "__proto__")
                            this[keys[i]] = properties[keys[i]];
            }

            DebugInfo.prototype.stackEntries = $util.emptyArray;
            DebugInfo.prototype.detail = "";

            DebugInfo.encode = function encode(message, writer, q) {
                if (!writer)
                    writer = $Writer.create();
                if (q === undefined)
                    q = 0;
                if (q > $util.recursionLimit)
                    throw Error("max depth exceeded");
                if (message.stackEntries != null && message.stackEntries.length)
                    for (var i = 0; i < message.stackEntries.length; ++i)
                        writer.uint32(10).string(message.stackEntries[i]);
                if (message.detail != null && Object.hasOwnProperty.call(message, "detail"))
                    writer.uint32(18).string(message.detail);
                return writer;
            };

            DebugInfo.decode = function decode(reader, length, error, long) {
                if (!(reader instanceof $Reader))
                    reader = $Reader.create(reader);
                if (long === undefined)
                    long = 0;
                if (long > $Reader.recursionLimit)
                    throw Error("maximum nesting depth exceeded");
                var end, message;
                if (length === undefined)
                    end = reader.len;
                else {
                    end = reader.pos + length;
                    if (end > reader.len)
                        throw RangeError("index out of range");
                    length = reader.len;
                    reader.len = end;
                }
                message = new $root.google.rpc.DebugInfo();
                while (reader.pos < end) {
                    var tag = reader.uint32();
                    if (tag === error)
                        break;
                    switch (tag >>> 3) {
                    case 1: {
                            if (!(message.stackEntries && message.stackEntries.length))
                                message.stackEntries = [];
                            message.stackEntries.push(reader.string());
                            break;
                        }
                    case 2: {
                            message.detail = reader.string();
                            break;
                        }
                    default:
                        reader.skipType(tag & 7, long);
                        break;
                    }
                }
                if (length !== undefined) {
                    if (reader.pos !== end)
                        throw RangeError("index out of range");
                    reader.len = length;
                }
                return message;
            };

            return DebugInfo;
        })();

        rpc.QuotaFailure = (function() {

            function QuotaFailure(properties) {
                this.violations = [];
                if (properties)
                    for (var keys = Object.keys(properties), i = 0; i < keys.length; ++i)
                        if (properties[keys[i]] != null && keys[i] !== "__proto__")
                            this[keys[i]] = properties[keys[i]];
            }

            QuotaFailure.prototype.violations = $util.emptyArray;

            QuotaFailure.encode = function encode(message, writer, q) {
                if (!writer)
                    writer = $Writer.create();
                if (q === undefined)
                    q = 0;
                if (q > $util.recursionLimit)
                    throw Error("max depth exceeded");
                if (message.violations != null && message.violations.length)
                    for (var i = 0; i < message.violations.length; ++i)
                        $root.google.rpc.QuotaFailure.Violation.encode(message.violations[i], writer.uint32(10).fork(), q + 1).ldelim();
                return writer;
            };

            QuotaFailure.decode = function decode(reader, length, error, long) {
                if (!(reader instanceof $Reader))
                    reader = $Reader.create(reader);
                if (long === undefined)
                    long = 0;
                if (long > $Reader.recursionLimit)
                    throw Error("maximum nesting depth exceeded");
                var end, message;
                if (length === undefined)
                    end = reader.len;
                else {
                    end = reader.pos + length;
                    if (end > reader.len)
                        throw RangeError("index out of range");
                    length = reader.len;
                    reader.len = end;
                }
                message = new $root.google.rpc.QuotaFailure();
                while (reader.pos < end) {
                    var tag = reader.uint32();
                    if (tag === error)
                        break;
                    switch (tag >>> 3) {
                    case 1: {
                            if (!(message.violations && message.violations.length))
                                message.violations = [];
                            message.violations.push($root.google.rpc.QuotaFailure.Violation.decode(reader, reader.uint32(), undefined, long + 1));
                            break;
                        }
                    default:
                        reader.skipType(tag & 7, long);
                        break;
                    }
                }
                if (length !== undefined) {
                    if (reader.pos !== end)
                        throw RangeError("index out of range");
                    reader.len = length;
                }
                return message;
            };

            QuotaFailure.Violation = (function() {

                function Violation(properties) {
                    this.quotaDimensions = {};
                    if (properties)
                        for (var keys = Object.keys(properties), i = 0; i < keys.length; ++i)
                            if (properties[keys[i]] != null && keys[i] !== "__proto__")
                                this[keys[i]] = properties[keys[i]];
                }

                Violation.prototype.subject = "";
                Violation.prototype.description = "";
                Violation.prototype.apiService = "";
                Violation.prototype.quotaMetric = "";
                Violation.prototype.quotaId = "";
                Violation.prototype.quotaDimensions = $util.emptyObject;
                Violation.prototype.quotaValue = $util.Long ? $util.Long.fromBits(0,0,false) : 0;
                Violation.prototype.futureQuotaValue = null;

                var $oneOfFields;

                // Virtual OneOf for proto3 optional field
                Object.defineProperty(Violation.prototype, "_futureQuotaValue", {
                    get: $util.oneOfGetter($oneOfFields = ["futureQuotaValue"]),
                    set: $util.oneOfSetter($oneOfFields)
                });

                Violation.encode = function encode(message, writer, q) {
                    if (!writer)
                        writer = $Writer.create();
                    if (q === undefined)
                        q = 0;
                    if (q > $util.recursionLimit)
                        throw Error("max depth exceeded");
                    if (message.subject != null && Object.hasOwnProperty.call(message, "subject"))
                        writer.uint32(10).string(message.subject);
                    if (message.description != null && Object.hasOwnProperty.call(message, "description"))
                        writer.uint32(18).string(message.description);
                    if (message.apiService != null && Object.hasOwnProperty.call(message, "apiService"))
                        writer.uint32(26).string(message.apiService);
                    if (message.quotaMetric != null && Object.hasOwnProperty.call(message, "quotaMetric"))
                        writer.uint32(34).string(message.quotaMetric);
                    if (message.quotaId != null && Object.hasOwnProperty.call(message, "quotaId"))
                        writer.uint32(42).string(message.quotaId);
                    if (message.quotaDimensions != null && Object.hasOwnProperty.call(message, "quotaDimensions"))
                        for (var keys = Object.keys(message.quotaDimensions), i = 0; i < keys.length; ++i)
                            writer.uint32(50).fork().uint32(10).string(keys[i]).uint32(18).string(message.quotaDimensions[keys[i]]).ldelim();
                    if (message.quotaValue != null && Object.hasOwnProperty.call(message, "quotaValue"))
                        writer.uint32(56).int64(message.quotaValue);
                    if (message.futureQuotaValue != null && Object.hasOwnProperty.call(message, "futureQuotaValue"))
                        writer.uint32(64).int64(message.futureQuotaValue);
                    return writer;
                };

                Violation.decode = function decode(reader, length, error, long) {
                    if (!(reader instanceof $Reader))
                        reader = $Reader.create(reader);
                    if (long === undefined)
                        long = 0;
                    if (long > $Reader.recursionLimit)
                        throw Error("maximum nesting depth exceeded");
                    var end, message, key, value;
                    if (length === undefined)
                        end = reader.len;
                    else {
                        end = reader.pos + length;
                        if (end > reader.len)
                            throw RangeError("index out of range");
                        length = reader.len;
                        reader.len = end;
                    }
                    message = new $root.google.rpc.QuotaFailure.Violation();
                    while (reader.pos < end) {
                        var tag = reader.uint32();
                        if (tag === error)
                            break;
                        switch (tag >>> 3) {
                        case 1: {
                                message.subject = reader.string();
                                break;
                            }
                        case 2: {
                                message.description = reader.string();
                                break;
                            }
                        case 3: {
                                message.apiService = reader.string();
                                break;
                            }
                        case 4: {
                                message.quotaMetric = reader.string();
                                break;
                            }
                        case 5: {
                                message.quotaId = reader.string();
                                break;
                            }
                        case 6: {
                                if (message.quotaDimensions === $util.emptyObject)
                                    message.quotaDimensions = {};
                                var end2 = reader.uint32() + reader.pos;
                                if (end2 > reader.len)
                                    throw RangeError("index out of range");
                                reader.len = end2;
                                key = "";
                                value = "";
                                while (reader.pos < end2) {
                                    var tag2 = reader.uint32();
                                    switch (tag2 >>> 3) {
                                    case 1:
                                        key = reader.string();
                                        break;
                                    case 2:
                                        value = reader.string();
                                        break;
                                    default:
                                        reader.skipType(tag2 & 7, long);
                                        break;
                                    }
                                }
                                if (reader.pos !== end2)
                                    throw RangeError("index out of range");
                                reader.len = end;
                                if (key === "__proto__")
                                    $util.makeProp(message.quotaDimensions, key);
                                message.quotaDimensions[key] = value;
                                break;
                            }
                        case 7: {
                                message.quotaValue = reader.int64();
                                break;
                            }
                        case 8: {
                                message.futureQuotaValue = reader.int64();
                                break;
                            }
                        default:
                            reader.skipType(tag & 7, long);
                            break;
                        }
                    }
                    if (length !== undefined) {
                        if (reader.pos !== end)
                            throw RangeError("index out of range");
                        reader.len = length;
                    }
                    return message;
                };

                return Violation;
            })();

            return QuotaFailure;
        })();

        rpc.PreconditionFailure = (function() {

            function PreconditionFailure(properties) {
                this.violations = [];
                if (properties)
                    for (var keys = Object.keys(properties), i = 0; i < keys.length; ++i)
                        if (properties[keys[i]] != null && keys[i] !== "__proto__")
                            this[keys[i]] = properties[keys[i]];
            }

            PreconditionFailure.prototype.violations = $util.emptyArray;

            PreconditionFailure.encode = function encode(message, writer, q) {
                if (!writer)
                    writer = $Writer.create();
                if (q === undefined)
                    q = 0;
                if (q > $util.recursionLimit)
                    throw Error("max depth exceeded");
                if (message.violations != null && message.violations.length)
                    for (var i = 0; i < message.violations.length; ++i)
                        $root.google.rpc.PreconditionFailure.Violation.encode(message.violations[i], writer.uint32(10).fork(), q + 1).ldelim();
                return writer;
            };

            PreconditionFailure.decode = function decode(reader, length, error, long) {
                if (!(reader instanceof $Reader))
                    reader = $Reader.create(reader);
                if (long === undefined)
                    long = 0;
                if (long > $Reader.recursionLimit)
                    throw Error("maximum nesting depth exceeded");
                var end, message;
                if (length === undefined)
                    end = reader.len;
                else {
                    end = reader.pos + length;
                    if (end > reader.len)
                        throw RangeError("index out of range");
                    length = reader.len;
                    reader.len = end;
                }
                message = new $root.google.rpc.PreconditionFailure();
                while (reader.pos < end) {
                    var tag = reader.uint32();
                    if (tag === error)
                        break;
                    switch (tag >>> 3) {
                    case 1: {
                            if (!(message.violations && message.violations.length))
                                message.violations = [];
                            message.violations.push($root.google.rpc.PreconditionFailure.Violation.decode(reader, reader.uint32(), undefined, long + 1));
                            break;
                        }
                    default:
                        reader.skipType(tag & 7, long);
                        break;
                    }
                }
                if (length !== undefined) {
                    if (reader.pos !== end)
                        throw RangeError("index out of range");
                    reader.len = length;
                }
                return message;
            };

            PreconditionFailure.Violation = (function() {

                function Violation(properties) {
                    if (properties)
                        for (var keys = Object.keys(properties), i = 0; i < keys.length; ++i)
                            if (properties[keys[i]] != null && keys[i] !== "__proto__")
                                this[keys[i]] = properties[keys[i]];
                }

                Violation.prototype.type = "";
                Violation.prototype.subject = "";
                Violation.prototype.description = "";

                Violation.encode = function encode(message, writer, q) {
                    if (!writer)
                        writer = $Writer.create();
                    if (q === undefined)
                        q = 0;
                    if (q > $util.recursionLimit)
                        throw Error("max depth exceeded");
                    if (message.type != null && Object.hasOwnProperty.call(message, "type"))
                        writer.uint32(10).string(message.type);
                    if (message.subject != null && Object.hasOwnProperty.call(message, "subject"))
                        writer.uint32(18).string(message.subject);
                    if (message.description != null && Object.hasOwnProperty.call(message, "description"))
                        writer.uint32(26).string(message.description);
                    return writer;
                };

                Violation.decode = function decode(reader, length, error, long) {
                    if (!(reader instanceof $Reader))
                        reader = $Reader.create(reader);
                    if (long === undefined)
                        long = 0;
                    if (long > $Reader.recursionLimit)
                        throw Error("maximum nesting depth exceeded");
                    var end, message;
                    if (length === undefined)
                        end = reader.len;
                    else {
                        end = reader.pos + length;
                        if (end > reader.len)
                            throw RangeError("index out of range");
                        length = reader.len;
                        reader.len = end;
                    }
                    message = new $root.google.rpc.PreconditionFailure.Violation();
                    while (reader.pos < end) {
                        var tag = reader.uint32();
                        if (tag === error)
                            break;
                        switch (tag >>> 3) {
                        case 1: {
                                message.type = reader.string();
                                break;
                            }
                        case 2: {
                                message.subject = reader.string();
                                break;
                            }
                        case 3: {
                                message.description = reader.string();
                                break;
                            }
                        default:
                            reader.skipType(tag & 7, long);
                            break;
                        }
                    }
                    if (length !== undefined) {
                        if (reader.pos !== end)
                            throw RangeError("index out of range");
                        reader.len = length;
                    }
                    return message;
                };

                return Violation;
            })();

            return PreconditionFailure;
        })();

        rpc.BadRequest = (function() {

            function BadRequest(properties) {
                this.fieldViolations = [];
                if (properties)
                    for (var keys = Object.keys(properties), i = 0; i < keys.length; ++i)
                        if (properties[keys[i]] != null && keys[i] !== "__proto__")
                            this[keys[i]] = properties[keys[i]];
            }

            BadRequest.prototype.fieldViolations = $util.emptyArray;

            BadRequest.encode = function encode(message, writer, q) {
                if (!writer)
                    writer = $Writer.create();
                if (q === undefined)
                    q = 0;
                if (q > $util.recursionLimit)
                    throw Error("max depth exceeded");
                if (message.fieldViolations != null && message.fieldViolations.length)
                    for (var i = 0; i < message.fieldViolations.length; ++i)
                        $root.google.rpc.BadRequest.FieldViolation.encode(message.fieldViolations[i], writer.uint32(10).fork(), q + 1).ldelim();
                return writer;
            };

            BadRequest.decode = function decode(reader, length, error, long) {
                if (!(reader instanceof $Reader))
                    reader = $Reader.create(reader);
                if (long === undefined)
                    long = 0;
                if (long > $Reader.recursionLimit)
                    throw Error("maximum nesting depth exceeded");
                var end, message;
                if (length === undefined)
                    end = reader.len;
                else {
                    end = reader.pos + length;
                    if (end > reader.len)
                        throw RangeError("index out of range");
                    length = reader.len;
                    reader.len = end;
                }
                message = new $root.google.rpc.BadRequest();
                while (reader.pos < end) {
                    var tag = reader.uint32();
                    if (tag === error)
                        break;
                    switch (tag >>> 3) {
                    case 1: {
                            if (!(message.fieldViolations && message.fieldViolations.length))
                                message.fieldViolations = [];
                            message.fieldViolations.push($root.google.rpc.BadRequest.FieldViolation.decode(reader, reader.uint32(), undefined, long + 1));
                            break;
                        }
                    default:
                        reader.skipType(tag & 7, long);
                        break;
                    }
                }
                if (length !== undefined) {
                    if (reader.pos !== end)
                        throw RangeError("index out of range");
                    reader.len = length;
                }
                return message;
            };

            BadRequest.FieldViolation = (function() {

                function FieldViolation(properties) {
                    if (properties)
                        for (var keys = Object.keys(properties), i = 0; i < keys.length; ++i)
                            if (properties[keys[i]] != null && keys[i] !== "__proto__")
                                this[keys[i]] = properties[keys[i]];
                }

                FieldViolation.prototype.field = "";
                FieldViolation.prototype.description = "";
                FieldViolation.prototype.reason = "";
                FieldViolation.prototype.localizedMessage = null;

                FieldViolation.encode = function encode(message, writer, q) {
                    if (!writer)
                        writer = $Writer.create();
                    if (q === undefined)
                        q = 0;
                    if (q > $util.recursionLimit)
                        throw Error("max depth exceeded");
                    if (message.field != null && Object.hasOwnProperty.call(message, "field"))
                        writer.uint32(10).string(message.field);
                    if (message.description != null && Object.hasOwnProperty.call(message, "description"))
                        writer.uint32(18).string(message.description);
                    if (message.reason != null && Object.hasOwnProperty.call(message, "reason"))
                        writer.uint32(26).string(message.reason);
                    if (message.localizedMessage != null && Object.hasOwnProperty.call(message, "localizedMessage"))
                        $root.google.rpc.LocalizedMessage.encode(message.localizedMessage, writer.uint32(34).fork(), q + 1).ldelim();
                    return writer;
                };

                FieldViolation.decode = function decode(reader, length, error, long) {
                    if (!(reader instanceof $Reader))
                        reader = $Reader.create(reader);
                    if (long === undefined)
                        long = 0;
                    if (long > $Reader.recursionLimit)
                        throw Error("maximum nesting depth exceeded");
                    var end, message;
                    if (length === undefined)
                        end = reader.len;
                    else {
                        end = reader.pos + length;
                        if (end > reader.len)
                            throw RangeError("index out of range");
                        length = reader.len;
                        reader.len = end;
                    }
                    message = new $root.google.rpc.BadRequest.FieldViolation();
                    while (reader.pos < end) {
                        var tag = reader.uint32();
                        if (tag === error)
                            break;
                        switch (tag >>> 3) {
                        case 1: {
                                message.field = reader.string();
                                break;
                            }
                        case 2: {
                                message.description = reader.string();
                                break;
                            }
                        case 3: {
                                message.reason = reader.string();
                                break;
                            }
                        case 4: {
                                message.localizedMessage = $root.google.rpc.LocalizedMessage.decode(reader, reader.uint32(), undefined, long + 1);
                                break;
                            }
                        default:
                            reader.skipType(tag & 7, long);
                            break;
                        }
                    }
                    if (length !== undefined) {
                        if (reader.pos !== end)
                            throw RangeError("index out of range");
                        reader.len = length;
                    }
                    return message;
                };

                return FieldViolation;
            })();

            return BadRequest;
        })();

        rpc.RequestInfo = (function() {

            function RequestInfo(properties) {
                if (properties)
                    for (var keys = Object.keys(properties), i = 0; i < keys.length; ++i)
                        if (properties[keys[i]] != null && keys[i] !== "__proto__")
                            this[keys[i]] = properties[keys[i]];
            }

            RequestInfo.prototype.requestId = "";
            RequestInfo.prototype.servingData = "";

            RequestInfo.encode = function encode(message, writer, q) {
                if (!writer)
                    writer = $Writer.create();
                if (q === undefined)
                    q = 0;
                if (q > $util.recursionLimit)
                    throw Error("max depth exceeded");
                if (message.requestId != null && Object.hasOwnProperty.call(message, "requestId"))
                    writer.uint32(10).string(message.requestId);
                if (message.servingData != null && Object.hasOwnProperty.call(message, "servingData"))
                    writer.uint32(18).string(message.servingData);
                return writer;
            };

            RequestInfo.decode = function decode(reader, length, error, long) {
                if (!(reader instanceof $Reader))
                    reader = $Reader.create(reader);
                if (long === undefined)
                    long = 0;
                if (long > $Reader.recursionLimit)
                    throw Error("maximum nesting depth exceeded");
                var end, message;
                if (length === undefined)
                    end = reader.len;
                else {
                    end = reader.pos + length;
                    if (end > reader.len)
                        throw RangeError("index out of range");
                    length = reader.len;
                    reader.len = end;
                }
                message = new $root.google.rpc.RequestInfo();
                while (reader.pos < end) {
                    var tag = reader.uint32();
                    if (tag === error)
                        break;
                    switch (tag >>> 3) {
                    case 1: {
                            message.requestId = reader.string();
                            break;
                        }
                    case 2: {
                            message.servingData = reader.string();
                            break;
                        }
                    default:
                        reader.skipType(tag & 7, long);
                        break;
                    }
                }
                if (length !== undefined) {
                    if (reader.pos !== end)
                        throw RangeError("index out of range");
                    reader.len = length;
                }
                return message;
            };

            return RequestInfo;
        })();

        rpc.ResourceInfo = (function() {

            function ResourceInfo(properties) {
                if (properties)
                    for (var keys = Object.keys(properties), i = 0; i < keys.length; ++i)
                        if (properties[keys[i]] != null && keys[i] !== "__proto__")
                            this[keys[i]] = properties[keys[i]];
            }

            ResourceInfo.prototype.resourceType = "";
            ResourceInfo.prototype.resourceName = "";
            ResourceInfo.prototype.owner = "";
            ResourceInfo.prototype.description = "";

            ResourceInfo.encode = function encode(message, writer, q) {
                if (!writer)
                    writer = $Writer.create();
                if (q === undefined)
                    q = 0;
                if (q > $util.recursionLimit)
                    throw Error("max depth exceeded");
                if (message.resourceType != null && Object.hasOwnProperty.call(message, "resourceType"))
                    writer.uint32(10).string(message.resourceType);
                if (message.resourceName != null && Object.hasOwnProperty.call(message, "resourceName"))
                    writer.uint32(18).string(message.resourceName);
                if (message.owner != null && Object.hasOwnProperty.call(message, "owner"))
                    writer.uint32(26).string(message.owner);
                if (message.description != null && Object.hasOwnProperty.call(message, "description"))
                    writer.uint32(34).string(message.description);
                return writer;
            };

            ResourceInfo.decode = function decode(reader, length, error, long) {
                if (!(reader instanceof $Reader))
                    reader = $Reader.create(reader);
                if (long === undefined)
                    long = 0;
                if (long > $Reader.recursionLimit)
                    throw Error("maximum nesting depth exceeded");
                var end, message;
                if (length === undefined)
                    end = reader.len;
                else {
                    end = reader.pos + length;
                    if (end > reader.len)
                        throw RangeError("index out of range");
                    length = reader.len;
                    reader.len = end;
                }
                message = new $root.google.rpc.ResourceInfo();
                while (reader.pos < end) {
                    var tag = reader.uint32();
                    if (tag === error)
                        break;
                    switch (tag >>> 3) {
                    case 1: {
                            message.resourceType = reader.string();
                            break;
                        }
                    case 2: {
                            message.resourceName = reader.string();
                            break;
                        }
                    case 3: {
                            message.owner = reader.string();
                            break;
                        }
                    case 4: {
                            message.description = reader.string();
                            break;
                        }
                    default:
                        reader.skipType(tag & 7, long);
                        break;
                    }
                }
                if (length !== undefined) {
                    if (reader.pos !== end)
                        throw RangeError("index out of range");
                    reader.len = length;
                }
                return message;
            };

            return ResourceInfo;
        })();

        rpc.Help = (function() {

            function Help(properties) {
                this.links = [];
                if (properties)
                    for (var keys = Object.keys(properties), i = 0; i < keys.length; ++i)
                        if (properties[keys[i]] != null && keys[i] !== "__proto__")
                            this[keys[i]] = properties[keys[i]];
            }

            Help.prototype.links = $util.emptyArray;

            Help.encode = function encode(message, writer, q) {
                if (!writer)
                    writer = $Writer.create();
                if (q === undefined)
                    q = 0;
                if (q > $util.recursionLimit)
                    throw Error("max depth exceeded");
                if (message.links != null && message.links.length)
                    for (var i = 0; i < message.links.length; ++i)
                        $root.google.rpc.Help.Link.encode(message.links[i], writer.uint32(10).fork(), q + 1).ldelim();
                return writer;
            };

            Help.decode = function decode(reader, length, error, long) {
                if (!(reader instanceof $Reader))
                    reader = $Reader.create(reader);
                if (long === undefined)
                    long = 0;
                if (long > $Reader.recursionLimit)
                    throw Error("maximum nesting depth exceeded");
                var end, message;
                if (length === undefined)
                    end = reader.len;
                else {
                    end = reader.pos + length;
                    if (end > reader.len)
                        throw RangeError("index out of range");
                    length = reader.len;
                    reader.len = end;
                }
                message = new $root.google.rpc.Help();
                while (reader.pos < end) {
                    var tag = reader.uint32();
                    if (tag === error)
                        break;
                    switch (tag >>> 3) {
                    case 1: {
                            if (!(message.links && message.links.length))
                                message.links = [];
                            message.links.push($root.google.rpc.Help.Link.decode(reader, reader.uint32(), undefined, long + 1));
                            break;
                        }
                    default:
                        reader.skipType(tag & 7, long);
                        break;
                    }
                }
                if (length !== undefined) {
                    if (reader.pos !== end)
                        throw RangeError("index out of range");
                    reader.len = length;
                }
                return message;
            };

            Help.Link = (function() {

                function Link(properties) {
                    if (properties)
                        for (var keys = Object.keys(properties), i = 0; i < keys.length; ++i)
                            if (properties[keys[i]] != null && keys[i] !== "__proto__")
                                this[keys[i]] = properties[keys[i]];
                }

                Link.prototype.description = "";
                Link.prototype.url = "";

                Link.encode = function encode(message, writer, q) {
                    if (!writer)
                        writer = $Writer.create();
                    if (q === undefined)
                        q = 0;
                    if (q > $util.recursionLimit)
                        throw Error("max depth exceeded");
                    if (message.description != null && Object.hasOwnProperty.call(message, "description"))
                        writer.uint32(10).string(message.description);
                    if (message.url != null && Object.hasOwnProperty.call(message, "url"))
                        writer.uint32(18).string(message.url);
                    return writer;
                };

                Link.decode = function decode(reader, length, error, long) {
                    if (!(reader instanceof $Reader))
                        reader = $Reader.create(reader);
                    if (long === undefined)
                        long = 0;
                    if (long > $Reader.recursionLimit)
                        throw Error("maximum nesting depth exceeded");
                    var end, message;
                    if (length === undefined)
                        end = reader.len;
                    else {
                        end = reader.pos + length;
                        if (end > reader.len)
                            throw RangeError("index out of range");
                        length = reader.len;
                        reader.len = end;
                    }
                    message = new $root.google.rpc.Help.Link();
                    while (reader.pos < end) {
                        var tag = reader.uint32();
                        if (tag === error)
                            break;
                        switch (tag >>> 3) {
                        case 1: {
                                message.description = reader.string();
                                break;
                            }
                        case 2: {
                                message.url = reader.string();
                                break;
                            }
                        default:
                            reader.skipType(tag & 7, long);
                            break;
                        }
                    }
                    if (length !== undefined) {
                        if (reader.pos !== end)
                            throw RangeError("index out of range");
                        reader.len = length;
                    }
                    return message;
                };

                return Link;
            })();

            return Help;
        })();

        rpc.LocalizedMessage = (function() {

            function LocalizedMessage(properties) {
                if (properties)
                    for (var keys = Object.keys(properties), i = 0; i < keys.length; ++i)
                        if (properties[keys[i]] != null && keys[i] !== "__proto__")
                            this[keys[i]] = properties[keys[i]];
            }

            LocalizedMessage.prototype.locale = "";
            LocalizedMessage.prototype.message = "";

            LocalizedMessage.encode = function encode(message, writer, q) {
                if (!writer)
                    writer = $Writer.create();
                if (q === undefined)
                    q = 0;
                if (q > $util.recursionLimit)
                    throw Error("max depth exceeded");
                if (message.locale != null && Object.hasOwnProperty.call(message, "locale"))
                    writer.uint32(10).string(message.locale);
                if (message.message != null && Object.hasOwnProperty.call(message, "message"))
                    writer.uint32(18).string(message.message);
                return writer;
            };

            LocalizedMessage.decode = function decode(reader, length, error, long) {
                if (!(reader instanceof $Reader))
                    reader = $Reader.create(reader);
                if (long === undefined)
                    long = 0;
                if (long > $Reader.recursionLimit)
                    throw Error("maximum nesting depth exceeded");
                var end, message;
                if (length === undefined)
                    end = reader.len;
                else {
                    end = reader.pos + length;
                    if (end > reader.len)
                        throw RangeError("index out of range");
                    length = reader.len;
                    reader.len = end;
                }
                message = new $root.google.rpc.LocalizedMessage();
                while (reader.pos < end) {
                    var tag = reader.uint32();
                    if (tag === error)
                        break;
                    switch (tag >>> 3) {
                    case 1: {
                            message.locale = reader.string();
                            break;
                        }
                    case 2: {
                            message.message = reader.string();
                            break;
                        }
                    default:
                        reader.skipType(tag & 7, long);
                        break;
                    }
                }
                if (length !== undefined) {
                    if (reader.pos !== end)
                        throw RangeError("index out of range");
                    reader.len = length;
                }
                return message;
            };

            return LocalizedMessage;
        })();

        return rpc;
    })();

    return google;
})();

$root.grpc = (function() {

    var grpc = {};

    grpc.health = (function() {

        var health = {};

        health.v1 = (function() {

            var v1 = {};

            v1.HealthCheckRequest = (function() {

                function HealthCheckRequest(properties) {
                    if (properties)
                        for (var keys = Object.keys(properties), i = 0; i < keys.length; ++i)
                            if (properties[keys[i]] != null && keys[i] !== "__proto__")
                                this[keys[i]] = properties[keys[i]];
                }

                HealthCheckRequest.prototype.service = "";

                HealthCheckRequest.encode = function encode(message, writer, q) {
                    if (!writer)
                        writer = $Writer.create();
                    if (q === undefined)
                        q = 0;
                    if (q > $util.recursionLimit)
                        throw Error("max depth exceeded");
                    if (message.service != null && Object.hasOwnProperty.call(message, "service"))
                        writer.uint32(10).string(message.service);
                    return writer;
                };

                HealthCheckRequest.decode = function decode(reader, length, error, long) {
                    if (!(reader instanceof $Reader))
                        reader = $Reader.create(reader);
                    if (long === undefined)
                        long = 0;
                    if (long > $Reader.recursionLimit)
                        throw Error("maximum nesting depth exceeded");
                    var end, message;
                    if (length === undefined)
                        end = reader.len;
                    else {
                        end = reader.pos + length;
                        if (end > reader.len)
                            throw RangeError("index out of range");
                        length = reader.len;
                        reader.len = end;
                    }
                    message = new $root.grpc.health.v1.HealthCheckRequest();
                    while (reader.pos < end) {
                        var tag = reader.uint32();
                        if (tag === error)
                            break;
                        switch (tag >>> 3) {
                        case 1: {
                                message.service = reader.string();
                                break;
                            }
                        default:
                            reader.skipType(tag & 7, long);
                            break;
                        }
                    }
                    if (length !== undefined) {
                        if (reader.pos !== end)
                            throw RangeError("index out of range");
                        reader.len = length;
                    }
                    return message;
                };

                return HealthCheckRequest;
            })();

            v1.HealthCheckResponse = (function() {

                function HealthCheckResponse(properties) {
                    if (properties)
                        for (var keys = Object.keys(properties), i = 0; i < keys.length; ++i)
                            if (properties[keys[i]] != null && keys[i] !== "__proto__")
                                this[keys[i]] = properties[keys[i]];
                }

                HealthCheckResponse.prototype.status = 0;

                HealthCheckResponse.encode = function encode(message, writer, q) {
                    if (!writer)
                        writer = $Writer.create();
                    if (q === undefined)
                        q = 0;
                    if (q > $util.recursionLimit)
                        throw Error("max depth exceeded");
                    if (message.status != null && Object.hasOwnProperty.call(message, "status"))
                        writer.uint32(8).int32(message.status);
                    return writer;
                };

                HealthCheckResponse.decode = function decode(reader, length, error, long) {
                    if (!(reader instanceof $Reader))
                        reader = $Reader.create(reader);
                    if (long === undefined)
                        long = 0;
                    if (long > $Reader.recursionLimit)
                        throw Error("maximum nesting depth exceeded");
                    var end, message;
                    if (length === undefined)
                        end = reader.len;
                    else {
                        end = reader.pos + length;
                        if (end > reader.len)
                            throw RangeError("index out of range");
                        length = reader.len;
                        reader.len = end;
                    }
                    message = new $root.grpc.health.v1.HealthCheckResponse();
                    while (reader.pos < end) {
                        var tag = reader.uint32();
                        if (tag === error)
                            break;
                        switch (tag >>> 3) {
                        case 1: {
                                message.status = reader.int32();
                                break;
                            }
                        default:
                            reader.skipType(tag & 7, long);
                            break;
                        }
                    }
                    if (length !== undefined) {
                        if (reader.pos !== end)
                            throw RangeError("index out of range");
                        reader.len = length;
                    }
                    return message;
                };

                HealthCheckResponse.ServingStatus = (function() {
                    var valuesById = {}, values = Object.create(valuesById);
                    values[valuesById[0] = "UNKNOWN"] = 0;
                    values[valuesById[1] = "SERVING"] = 1;
                    values[valuesById[2] = "NOT_SERVING"] = 2;
                    values[valuesById[3] = "SERVICE_UNKNOWN"] = 3;
                    return values;
                })();

                return HealthCheckResponse;
            })();

            v1.HealthListRequest = (function() {

                function HealthListRequest(properties) {
                    if (properties)
                        for (var keys = Object.keys(properties), i = 0; i < keys.length; ++i)
                            if (properties[keys[i]] != null && keys[i] !== "__proto__")
                                this[keys[i]] = properties[keys[i]];
                }

                HealthListRequest.encode = function encode(message, writer, q) {
                    if (!writer)
                        writer = $Writer.create();
                    if (q === undefined)
                        q = 0;
                    if (q > $util.recursionLimit)
                        throw Error("max depth exceeded");
                    return writer;
                };

                HealthListRequest.decode = function decode(reader, length, error, long) {
                    if (!(reader instanceof $Reader))
                        reader = $Reader.create(reader);
                    if (long === undefined)
                        long = 0;
                    if (long > $Reader.recursionLimit)
                        throw Error("maximum nesting depth exceeded");
                    var end, message;
                    if (length === undefined)
                        end = reader.len;
                    else {
                        end = reader.pos + length;
                        if (end > reader.len)
                            throw RangeError("index out of range");
                        length = reader.len;
                        reader.len = end;
                    }
                    message = new $root.grpc.health.v1.HealthListRequest();
                    while (reader.pos < end) {
                        var tag = reader.uint32();
                        if (tag === error)
                            break;
                        switch (tag >>> 3) {
                        default:
                            reader.skipType(tag & 7, long);
                            break;
                        }
                    }
                    if (length !== undefined) {
                        if (reader.pos !== end)
                            throw RangeError("index out of range");
                        reader.len = length;
                    }
                    return message;
                };

                return HealthListRequest;
            })();

            v1.HealthListResponse = (function() {

                function HealthListResponse(properties) {
                    this.statuses = {};
                    if (properties)
                        for (var keys = Object.keys(properties), i = 0; i < keys.length; ++i)
                            if (properties[keys[i]] != null && keys[i] !== "__proto__")
                                this[keys[i]] = properties[keys[i]];
                }

                HealthListResponse.prototype.statuses = $util.emptyObject;

                HealthListResponse.encode = function encode(message, writer, q) {
                    if (!writer)
                        writer = $Writer.create();
                    if (q === undefined)
                        q = 0;
                    if (q > $util.recursionLimit)
                        throw Error("max depth exceeded");
                    if (message.statuses != null && Object.hasOwnProperty.call(message, "statuses"))
                        for (var keys = Object.keys(message.statuses), i = 0; i < keys.length; ++i) {
                            writer.uint32(10).fork().uint32(10).string(keys[i]);
                            $root.grpc.health.v1.HealthCheckResponse.encode(message.statuses[keys[i]], writer.uint32(18).fork(), q + 1).ldelim().ldelim();
                        }
                    return writer;
                };

                HealthListResponse.decode = function decode(reader, length, error, long) {
                    if (!(reader instanceof $Reader))
                        reader = $Reader.create(reader);
                    if (long === undefined)
                        long = 0;
                    if (long > $Reader.recursionLimit)
                        throw Error("maximum nesting depth exceeded");
                    var end, message, key, value;
                    if (length === undefined)
                        end = reader.len;
                    else {
                        end = reader.pos + length;
                        if (end > reader.len)
                            throw RangeError("index out of range");
                        length = reader.len;
                        reader.len = end;
                    }
                    message = new $root.grpc.health.v1.HealthListResponse();
                    while (reader.pos < end) {
                        var tag = reader.uint32();
                        if (tag === error)
                            break;
                        switch (tag >>> 3) {
                        case 1: {
                                if (message.statuses === $util.emptyObject)
                                    message.statuses = {};
                                var end2 = reader.uint32() + reader.pos;
                                if (end2 > reader.len)
                                    throw RangeError("index out of range");
                                reader.len = end2;
                                key = "";
                                value = null;
                                while (reader.pos < end2) {
                                    var tag2 = reader.uint32();
                                    switch (tag2 >>> 3) {
                                    case 1:
                                        key = reader.string();
                                        break;
                                    case 2:
                                        value = $root.grpc.health.v1.HealthCheckResponse.decode(reader, reader.uint32(), undefined, long + 1);
                                        break;
                                    default:
                                        reader.skipType(tag2 & 7, long);
                                        break;
                                    }
                                }
                                if (reader.pos !== end2)
                                    throw RangeError("index out of range");
                                reader.len = end;
                                if (key === "__proto__")
                                    $util.makeProp(message.statuses, key);
                                message.statuses[key] = value;
                                break;
                            }
                        default:
                            reader.skipType(tag & 7, long);
                            break;
                        }
                    }
                    if (length !== undefined) {
                        if (reader.pos !== end)
                            throw RangeError("index out of range");
                        reader.len = length;
                    }
                    return message;
                };

                return HealthListResponse;
            })();

            return v1;
        })();

        return health;
    })();

    return grpc;
})();

module.exports = $root;
