"""A gRPC proxy between a client library and an emulator that loses answers on purpose.

It speaks real gRPC on both sides and understands none of it: messages pass as bytes, so what the
client meets is a network that fails, not a stand-in. A fault waits for a call of its method that it
`wants`, is used up by it, and then

    refuse   answers without passing the call on
    lose     passes the call on, and answers with a status instead of the result
    hang     passes the call on, and never answers: the client's deadline ends it
    cut      passes some messages of a streaming answer, then ends it with a status
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import grpc

_UNARY = ("Commit", "Publish", "GetDocument", "BatchWrite", "BeginTransaction", "Rollback")
_ANSWER_STREAMS = ("BatchGetDocuments", "RunQuery", "RunAggregationQuery")

#: Calls at once: more than the puller's threads and the workers of a test together.
_THREADS = 48

_NO_LIMIT = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


@dataclass(frozen=True, slots=True)
class Fault:
    """How one call goes wrong. `wants` looks at the request's bytes.

    `after` is for `cut`, `says` for `refuse`.
    """

    method: str
    kind: str
    code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE
    wants: Callable[[bytes], bool] = lambda _request: True
    after: int = 0
    says: str = "refused by the proxy"


class GrpcProxy:
    """Listens on a port of its own (`address`) and passes calls on to `upstream` ("host:port").

    `faults` are tried in their order; the first that fits a call is used up and put into `met`.
    `weather` is asked when none fits, for faults by chance. Both may be changed while it runs.
    """

    def __init__(self, upstream: str) -> None:
        self.faults: list[Fault] = []
        self.met: list[Fault] = []
        self.calls: list[str] = []
        self.weather: Callable[[str, bytes], Fault | None] = lambda _method, _request: None
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._channel = grpc.insecure_channel(upstream, options=_NO_LIMIT)
        self._server = grpc.server(
            ThreadPoolExecutor(_THREADS, "proxy"), handlers=[_Handlers(self)], options=_NO_LIMIT
        )
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def close(self) -> None:
        """Stop listening; calls under way are dropped."""
        self._closing.set()
        self._server.stop(None).wait()
        self._channel.close()

    def __enter__(self) -> GrpcProxy:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # --- one call

    def unary(self, path: str, request: bytes, context: Any) -> bytes:
        """A call with one answer."""
        fault = self._fault(path, request)
        if fault is not None and fault.kind == "refuse":
            context.abort(fault.code, fault.says)
        call = self._channel.unary_unary(path)
        try:
            answer: bytes = call(request, **_terms(context))
        except grpc.RpcError as error:
            context.abort(error.code(), error.details())
        if fault is not None:
            self._lose(fault, context)
        return answer

    def stream(self, path: str, request: bytes, context: Any) -> Iterator[bytes]:
        """A call whose answer is a stream."""
        fault = self._fault(path, request)
        if fault is not None and fault.kind == "refuse":
            context.abort(fault.code, fault.says)
        answers = self._channel.unary_stream(path)(request, **_terms(context))
        context.add_callback(answers.cancel)
        try:
            for count, answer in enumerate(answers):
                if fault is not None and count == fault.after:
                    break
                yield answer
        except grpc.RpcError as error:
            context.abort(error.code(), error.details())
        if fault is not None:
            # also when the stream was shorter: its last message, the status, is what got lost
            answers.cancel()
            self._lose(fault, context)

    def _fault(self, path: str, request: bytes) -> Fault | None:
        method = path.rpartition("/")[2]
        with self._lock:
            self.calls.append(method)
            for at, fault in enumerate(self.faults):
                if fault.method == method and fault.wants(request):
                    self.met.append(self.faults.pop(at))
                    return fault
            fault_by_chance = self.weather(method, request)
            if fault_by_chance is not None:
                self.met.append(fault_by_chance)
            return fault_by_chance

    def _lose(self, fault: Fault, context: Any) -> None:
        if fault.kind == "hang":
            gone = threading.Event()
            if context.add_callback(gone.set):
                while not gone.wait(0.05) and not self._closing.is_set():
                    pass
        context.abort(fault.code, "the answer was lost in the proxy")


class _Handlers(grpc.GenericRpcHandler):
    def __init__(self, proxy: GrpcProxy) -> None:
        self._proxy = proxy

    def service(self, details: Any) -> Any:
        path, method = details.method, details.method.rpartition("/")[2]
        if method in _UNARY:
            return grpc.unary_unary_rpc_method_handler(
                lambda request, context: self._proxy.unary(path, request, context)
            )
        if method in _ANSWER_STREAMS:
            return grpc.unary_stream_rpc_method_handler(
                lambda request, context: self._proxy.stream(path, request, context)
            )
        return None  # UNIMPLEMENTED: better than a call that passes by unseen


def _terms(context: Any) -> dict[str, Any]:
    """Deadline and metadata of the caller, for the call that is passed on."""
    metadata = [
        (key, value)
        for key, value in context.invocation_metadata()
        if not key.startswith(("grpc-", ":")) and key != "user-agent"
    ]
    return {"timeout": context.time_remaining(), "metadata": metadata}
