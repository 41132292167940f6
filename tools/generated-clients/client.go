// Asks for the labels of texts, and for two refusals, by the code that protoc makes of our files: see run.sh.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	pb "example.com/gen/tandem/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	connection, err := grpc.DialContext(ctx, os.Args[1], grpc.WithInsecure(), grpc.WithBlock())
	if err != nil {
		panic(err)
	}
	client := pb.NewPredictionServiceClient(connection)
	answer, err := client.Predict(ctx, &pb.PredictRequest{Texts: os.Args[2:], Route: pb.Route_ROUTE_FAST})
	if err != nil {
		panic(err)
	}
	for _, prediction := range answer.Predictions {
		fmt.Println(prediction.Label)
	}
	_, err = client.Predict(ctx, &pb.PredictRequest{})
	refused := status.Convert(err)
	fmt.Println(refused.Code())
	for _, detail := range refused.Details() {
		if bad, ok := detail.(*errdetails.BadRequest); ok {
			fmt.Println(bad.FieldViolations[0].Field)
		}
	}
	stream, err := client.PredictStream(ctx)
	if err != nil {
		panic(err)
	}
	stream.Send(&pb.PredictStreamRequest{Id: "a", Request: &pb.PredictRequest{Task: "weather", Texts: []string{"x"}}})
	stream.CloseSend()
	one, err := stream.Recv()
	if err != nil {
		panic(err)
	}
	fmt.Println(one.Id, status.FromProto(one.GetStatus()).Code())
}
