// Asks for the labels of texts: Client localhost:50051 TEXT…

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import com.tandem.v1.PredictRequest;
import com.tandem.v1.PredictResponse;
import com.tandem.v1.PredictionServiceGrpc;
import com.tandem.v1.Route;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

public final class Client {
    /** Tries again after the pause that the server tells, or these. Numbers have to be doubles. */
    private static final Map<String, ?> SERVICE_CONFIG =
        Map.of(
            "methodConfig",
            List.of(
                Map.of(
                    "name",
                    List.of(Map.of("service", "tandem.v1.PredictionService", "method", "Predict")),
                    "retryPolicy",
                    Map.of(
                        "maxAttempts", 4.0,
                        "initialBackoff", "0.1s",
                        "maxBackoff", "2s",
                        "backoffMultiplier", 2.0,
                        "retryableStatusCodes", List.of("UNAVAILABLE", "RESOURCE_EXHAUSTED")))));

    private static ManagedChannel connect(String address) {
        return ManagedChannelBuilder.forTarget(address)
            .usePlaintext() // Leave it out for a server with TLS.
            .defaultServiceConfig(SERVICE_CONFIG)
            .enableRetry() // Older versions don't by themselves.
            // Turns between all addresses of the name.
            .defaultLoadBalancingPolicy("round_robin")
            // Notices a connection that died under a call; the server allows these pings.
            .keepAliveTime(1, TimeUnit.MINUTES)
            // All scores of a model with thousands of labels are more than the usual 4 MiB.
            .maxInboundMessageSize(64 << 20)
            .build();
    }

    /** Code, reason and fields, each on a line: programs branch on the reason. */
    private static void explain(StatusRuntimeException refused) throws InvalidProtocolBufferException {
        System.err.println(refused.getStatus().getCode() + ": " + refused.getStatus().getDescription());
        com.google.rpc.Status status = StatusProto.fromThrowable(refused);
        for (Any detail : status.getDetailsList()) {
            if (detail.is(ErrorInfo.class)) {
                System.err.println("reason: " + detail.unpack(ErrorInfo.class).getReason());
            } else if (detail.is(BadRequest.class)) {
                for (BadRequest.FieldViolation one : detail.unpack(BadRequest.class).getFieldViolationsList()) {
                    System.err.println("field " + one.getField() + ": " + one.getDescription());
                }
            } else if (detail.is(RetryInfo.class)) {
                System.err.println("try again after " + detail.unpack(RetryInfo.class).getRetryDelay().getSeconds() + " s");
            }
        }
    }

    public static void main(String[] arguments) throws Exception {
        if (arguments.length < 1) {
            System.err.println("usage: Client HOST:PORT TEXT…");
            System.exit(2);
        }
        List<String> texts = Arrays.asList(arguments).subList(1, arguments.length);
        ManagedChannel channel = connect(arguments[0]);
        int code = 0;
        try {
            PredictResponse answer =
                PredictionServiceGrpc.newBlockingStub(channel)
                    // Of all tries together. It travels to the server, which stops its work when the time has passed.
                    .withDeadlineAfter(10, TimeUnit.SECONDS)
                    .predict(PredictRequest.newBuilder().addAllTexts(texts).setRoute(Route.ROUTE_FAST).build());
            for (int at = 0; at < texts.size(); at++) {
                System.out.printf(
                    "%s\t%.3f\t%s%n",
                    answer.getPredictions(at).getLabel(), answer.getPredictions(at).getConfidence(), texts.get(at));
            }
        } catch (StatusRuntimeException refused) {
            explain(refused);
            code = 1;
        } finally {
            channel.shutdownNow();
        }
        System.exit(code);
    }
}
