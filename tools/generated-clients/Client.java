import com.tandem.v1.PredictRequest;
import com.tandem.v1.PredictResponse;
import com.tandem.v1.PredictStreamResponse;
import com.tandem.v1.PredictionServiceGrpc;
import com.tandem.v1.Route;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** Asks for the labels of texts, and for a refusal, by the code that protoc makes of our files: see run.sh. */
class Client {
    /** What a client does with an error on a stream: it has to compile. */
    static StatusRuntimeException of(PredictStreamResponse answer) {
        return StatusProto.toStatusRuntimeException(answer.getStatus());
    }

    public static void main(String[] arguments) throws Exception {
        ManagedChannel channel = ManagedChannelBuilder.forTarget(arguments[0]).usePlaintext().build();
        PredictionServiceGrpc.PredictionServiceBlockingStub client =
            PredictionServiceGrpc.newBlockingStub(channel).withDeadlineAfter(30, TimeUnit.SECONDS);
        PredictRequest request =
            PredictRequest.newBuilder().addAllTexts(List.of(arguments).subList(1, arguments.length)).setRoute(Route.ROUTE_FAST).build();
        PredictResponse answer = client.predict(request);
        answer.getPredictionsList().forEach(one -> System.out.println(one.getLabel()));
        try {
            client.predict(PredictRequest.getDefaultInstance());
        } catch (StatusRuntimeException refused) {
            com.google.rpc.Status status = StatusProto.fromThrowable(refused);
            System.out.println(refused.getStatus().getCode());
            for (com.google.protobuf.Any detail : status.getDetailsList()) {
                if (detail.is(com.google.rpc.BadRequest.class)) {
                    System.out.println(detail.unpack(com.google.rpc.BadRequest.class).getFieldViolations(0).getField());
                }
            }
        }
        channel.shutdownNow();
    }
}
