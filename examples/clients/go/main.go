// Asks for the labels of texts: go run . localhost:50051 TEXT…
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	pb "example.com/tandem-client/gen/tandem/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/health" // round_robin asks servers for their health, where healthCheckConfig says so
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
)

// Turns between all addresses of the name, but for those that say they take nothing; tries again after the pause that the
// server tells, or these.
const serviceConfig = `{
  "loadBalancingConfig": [{"round_robin": {}}],
  "healthCheckConfig": {"serviceName": "tandem.v1.PredictionService"},
  "methodConfig": [{
    "name": [{"service": "tandem.v1.PredictionService", "method": "Predict"}],
    "retryPolicy": {
      "maxAttempts": 4,
      "initialBackoff": "0.1s",
      "maxBackoff": "2s",
      "backoffMultiplier": 2,
      "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"]
    }
  }]
}`

func connect(address string) (*grpc.ClientConn, error) {
	return grpc.NewClient(address,
		grpc.WithTransportCredentials(insecure.NewCredentials()), // credentials.NewTLS(…) for a server with TLS
		grpc.WithDefaultServiceConfig(serviceConfig),
		// Notices a connection that died under a call; the server allows these pings.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: time.Minute, Timeout: 20 * time.Second}),
		// All scores of a model with thousands of labels are more than the usual 4 MiB.
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)),
	)
}

// Code, reason and fields, each on a line: programs branch on the reason.
func explain(err error) {
	refused := status.Convert(err)
	fmt.Fprintf(os.Stderr, "%s: %s\n", refused.Code(), refused.Message())
	for _, detail := range refused.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			fmt.Fprintln(os.Stderr, "reason:", detail.Reason)
		case *errdetails.BadRequest:
			for _, violation := range detail.FieldViolations {
				fmt.Fprintf(os.Stderr, "field %s: %s\n", violation.Field, violation.Description)
			}
		case *errdetails.RetryInfo:
			fmt.Fprintln(os.Stderr, "try again after", detail.RetryDelay.AsDuration())
		}
	}
}

func run(address string, texts []string) error {
	connection, err := connect(address)
	if err != nil {
		return err
	}
	defer connection.Close()
	// Of all tries together. It travels to the server, which stops its work when the time has passed.
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	client := pb.NewPredictionServiceClient(connection)
	answer, err := client.Predict(ctx, &pb.PredictRequest{Texts: texts, Route: pb.Route_ROUTE_FAST})
	if err != nil {
		return err
	}
	for at, prediction := range answer.Predictions {
		fmt.Printf("%s\t%.3f\t%s\n", prediction.Label, prediction.Confidence, texts[at])
	}
	return nil
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: tandem-client HOST:PORT TEXT…")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		explain(err)
		os.Exit(1)
	}
}
