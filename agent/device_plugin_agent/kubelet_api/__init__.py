"""The kubelet's gRPC APIs: our own .proto files and what grpcio-tools makes of them."""
