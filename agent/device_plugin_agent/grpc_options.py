"""How gRPC is used on this node's sockets."""

UNHURRIED = (
    # The kubelet's limits are what counts.
    ("grpc.max_receive_message_length", -1),
    # gRPC measures the bandwidth of each connection by pings, after which its threads stay awake for seconds. There is
    # nothing to be gained by it between two processes of a machine, and this halves what an idle agent costs.
    ("grpc.http2.bdp_probe", 0),
)
