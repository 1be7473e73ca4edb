// gRPC (C++) in the comparison. As a server: a stage that answers, or sends calls on to the next
// and its result back. As a client: obeys orders.
//
//   bench-grpc serve ADDRESS [NEXT]      ADDRESS: unix-abstract:NAME or IP; NEXT: the same or
//   IP:PORT bench-grpc client ADDRESS...
//
// Settings: the asynchronous interface with one completion queue, served by one thread; optimized
// for latency; no retries, no channelz, no bandwidth probes; frames, windows and write buffers that
// hold a megabyte at once. A stream is offered too, which spares the making of a call each time.
#include <grpcpp/grpcpp.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "orders.h"
#include "stage.grpc.pb.h"

using bench::Bytes;
using bench::Stage;

namespace
{

constexpr int kMegabytes = 8 << 20;

grpc::ChannelArguments client_settings()
{
	grpc::ChannelArguments a;
	a.SetMaxReceiveMessageSize(-1);
	a.SetMaxSendMessageSize(-1);
	a.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
	a.SetInt(GRPC_ARG_ENABLE_CHANNELZ, 0);
	a.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
	a.SetInt(GRPC_ARG_HTTP2_MAX_FRAME_SIZE, kMegabytes);
	a.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, kMegabytes);
	a.SetInt(GRPC_ARG_HTTP2_WRITE_BUFFER_SIZE, kMegabytes);
	a.SetString(GRPC_ARG_OPTIMIZATION_TARGET, "latency");
	return a;
}

std::unique_ptr<Stage::Stub> connect(const std::string &address)
{
	return Stage::NewStub(
		grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), client_settings()));
}

// What a completion queue brings back.
struct Step {
	virtual ~Step() = default;
	virtual void go(bool ok) = 0;
};

struct Server {
	Stage::AsyncService service;
	std::unique_ptr<grpc::ServerCompletionQueue> queue;
	std::unique_ptr<Stage::Stub> next;
};

// One call at a time of each kind is accepted; accepting the next is the first thing done with it.
class UnaryCall final : public Step
{
  public:
	explicit UnaryCall(Server &s) : server(s), responder(&context)
	{
		server.service.RequestCall(&context, &request, &responder, server.queue.get(),
								   server.queue.get(), this);
	}
	void go(bool ok) override
	{
		if (!ok || finished) {
			delete this;
			return;
		}
		new UnaryCall(server);
		finished = true;
		if (request.answer() > 0)
			reply.mutable_data()->assign(request.answer(), '\1');
		responder.Finish(reply, grpc::Status::OK, this);
	}

  private:
	Server &server;
	grpc::ServerContext context;
	Bytes request, reply;
	grpc::ServerAsyncResponseWriter<Bytes> responder;
	bool finished = false;
};

class RelayCall final : public Step
{
  public:
	explicit RelayCall(Server &s) : server(s), responder(&context)
	{
		server.service.RequestRelay(&context, &request, &responder, server.queue.get(),
									server.queue.get(), this);
	}
	void go(bool ok) override
	{
		if (!ok || state == FINISHED) {
			delete this;
		} else if (state == WAITING) {
			new RelayCall(server);
			if (!server.next) {
				finish(request, grpc::Status::OK);
				return;
			}
			state = RELAYED;
			onward = server.next->AsyncRelay(&onward_context, request, server.queue.get());
			onward->Finish(&reply, &status, this);
		} else {
			finish(reply, status);
		}
	}

  private:
	void finish(const Bytes &bytes, const grpc::Status &how)
	{
		state = FINISHED;
		responder.Finish(bytes, how, this);
	}

	enum { WAITING, RELAYED, FINISHED } state = WAITING;
	Server &server;
	grpc::ServerContext context;
	Bytes request, reply;
	grpc::ServerAsyncResponseWriter<Bytes> responder;
	grpc::ClientContext onward_context;
	grpc::Status status;
	std::unique_ptr<grpc::ClientAsyncResponseReader<Bytes>> onward;
};

class StreamCall final : public Step
{
  public:
	explicit StreamCall(Server &s) : server(s), stream(&context)
	{
		server.service.RequestStream(&context, &stream, server.queue.get(), server.queue.get(),
									 this);
	}
	void go(bool ok) override
	{
		if (state == WAITING) {
			if (!ok) {
				delete this;
				return;
			}
			new StreamCall(server);
			state = READING;
			stream.Read(&request, this);
		} else if (state == FINISHED) {
			delete this;
		} else if (!ok) {
			state = FINISHED;
			stream.Finish(grpc::Status::OK, this);
		} else if (state == READING) {
			state = WRITING;
			reply.mutable_data()->assign(request.answer(), '\1');
			stream.Write(reply, this);
		} else {
			state = READING;
			stream.Read(&request, this);
		}
	}

  private:
	enum { WAITING, READING, WRITING, FINISHED } state = WAITING;
	Server &server;
	grpc::ServerContext context;
	Bytes request, reply;
	grpc::ServerAsyncReaderWriter<Bytes, Bytes> stream;
};

int serve(const std::string &address, const char *next)
{
	Server server;
	grpc::ServerBuilder builder;
	const bool local = address.rfind("unix", 0) == 0;
	int port = 0;

	builder.AddListeningPort(local ? address : address + ":0", grpc::InsecureServerCredentials(),
							 &port);
	builder.SetMaxReceiveMessageSize(-1);
	builder.SetMaxSendMessageSize(-1);
	builder.AddChannelArgument(GRPC_ARG_ENABLE_CHANNELZ, 0);
	builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
	builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_FRAME_SIZE, kMegabytes);
	builder.AddChannelArgument(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, kMegabytes);
	builder.AddChannelArgument(GRPC_ARG_HTTP2_WRITE_BUFFER_SIZE, kMegabytes);
	builder.AddChannelArgument(GRPC_ARG_OPTIMIZATION_TARGET, "latency");
	builder.RegisterService(&server.service);
	server.queue = builder.AddCompletionQueue();
	auto running = builder.BuildAndStart();
	if (!running)
		return 1;
	if (next)
		server.next = connect(next);
	new UnaryCall(server);
	new RelayCall(server);
	new StreamCall(server);
	printf("ready %d\n", port);
	fflush(stdout);
	void *tag;
	bool ok;
	while (server.queue->Next(&tag, &ok))
		static_cast<Step *>(tag)->go(ok);
	return 0;
}

// The client's own waiting: for the one thing that is under way.
bool await(grpc::CompletionQueue &queue)
{
	void *tag;
	bool ok = false;
	return queue.Next(&tag, &ok) && ok;
}

bool one(Stage::Stub &stub, grpc::CompletionQueue &queue, const Order &order, Bytes &request,
		 bool relay)
{
	grpc::ClientContext context;
	grpc::Status status;
	Bytes reply;
	auto call = relay ? stub.AsyncRelay(&context, request, &queue)
					  : stub.AsyncCall(&context, request, &queue);
	call->Finish(&reply, &status, nullptr);
	return await(queue) && status.ok() && reply.data().size() == order.answer;
}

bool stream(Stage::Stub &stub, grpc::CompletionQueue &queue, const Order &order, Bytes &request)
{
	grpc::ClientContext context;
	grpc::Status status;
	Bytes reply;
	auto call = stub.AsyncStream(&context, &queue, nullptr);
	bool ok = await(queue);
	for (uint32_t i = 0; i < order.count && ok; i++) {
		call->Write(request, nullptr);
		ok = await(queue);
		if (ok)
			call->Read(&reply, nullptr);
		ok = ok && await(queue) && reply.data().size() == order.answer;
	}
	call->WritesDone(nullptr);
	ok = await(queue) && ok;
	call->Finish(&status, nullptr);
	return await(queue) && status.ok() && ok;
}

int client(int count, char **addresses)
{
	grpc::CompletionQueue queue;
	std::vector<std::unique_ptr<Stage::Stub>> stages;
	for (int i = 0; i < count; i++)
		stages.push_back(connect(addresses[i]));
	return obey([&](const Order &order) {
		Bytes request;
		request.mutable_data()->assign(order.size, '\1');
		request.set_answer(order.answer);
		if (order.operation == "stream")
			return stream(*stages[0], queue, order, request);
		const size_t used = order.operation == "star" ? stages.size() : 1;
		for (uint32_t i = 0; i < order.count; i++)
			for (size_t s = 0; s < used; s++)
				if (!one(*stages[s], queue, order, request, order.operation == "relay"))
					return false;
		return true;
	});
}

} // namespace

int main(int argc, char **argv)
{
	if (argc >= 3 && !strcmp(argv[1], "serve"))
		return serve(argv[2], argc > 3 ? argv[3] : nullptr);
	if (argc >= 3 && !strcmp(argv[1], "client"))
		return client(argc - 2, argv + 2);
	fputs("usage: bench-grpc serve ADDRESS [NEXT] | client ADDRESS...\n", stderr);
	return 2;
}
