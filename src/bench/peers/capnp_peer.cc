// Cap'n Proto RPC (C++) in the comparison. As a server: a stage that answers, or sends calls on to
// the next by a tail call, so that results go straight back. As a client: obeys orders.
//
//   bench-capnp serve ADDRESS [NEXT]      ADDRESS: unix-abstract:NAME or IP; NEXT: the same or
//   IP:PORT bench-capnp client ADDRESS...
//
// Settings: one thread a process on kj's event loop, as it is meant to be used; TCP_NODELAY is its
// default; the limit on what a message may hold is lifted.
#include <capnp/ez-rpc.h>
#include <cstring>
#include <vector>

#include "orders.h"
#include "stage.capnp.h"

static capnp::ReaderOptions limits()
{
	capnp::ReaderOptions options;
	options.traversalLimitInWords = UINT64_MAX;
	return options;
}

class StageImpl final : public Stage::Server
{
  public:
	explicit StageImpl(kj::Maybe<Stage::Client> following) : next(kj::mv(following))
	{
	}

	kj::Promise<void> call(CallContext context) override
	{
		const uint32_t answer = context.getParams().getAnswer();
		context.releaseParams();
		if (answer > 0)
			memset(context.getResults().initData(answer).begin(), 1, answer);
		return kj::READY_NOW;
	}

	kj::Promise<void> relay(RelayContext context) override
	{
		KJ_IF_MAYBE (stage, next) {
			auto request = stage->relayRequest();
			request.setData(context.getParams().getData());
			return context.tailCall(kj::mv(request));
		}
		context.getResults().setData(context.getParams().getData());
		return kj::READY_NOW;
	}

  private:
	kj::Maybe<Stage::Client> next;
};

static int serve(const char *address, const char *next)
{
	kj::Own<capnp::EzRpcClient> onward;
	kj::Maybe<Stage::Client> stage;
	if (next) {
		onward = kj::heap<capnp::EzRpcClient>(next, 0, limits());
		stage = onward->getMain<Stage>();
	}
	capnp::EzRpcServer server(kj::heap<StageImpl>(kj::mv(stage)), address, 0, limits());
	auto &scope = server.getWaitScope();
	unsigned port = strncmp(address, "unix", 4) ? server.getPort().wait(scope) : 0;
	printf("ready %u\n", port);
	fflush(stdout);
	kj::NEVER_DONE.wait(scope);
}

static int client(int count, char **addresses)
{
	std::vector<kj::Own<capnp::EzRpcClient>> peers;
	std::vector<Stage::Client> stages;
	for (int i = 0; i < count; i++) {
		peers.push_back(kj::heap<capnp::EzRpcClient>(addresses[i], 0, limits()));
		stages.push_back(peers.back()->getMain<Stage>());
	}
	auto &scope = peers[0]->getWaitScope();
	return obey([&](const Order &order) {
		const bool star = order.operation == "star";
		for (uint32_t i = 0; i < order.count; i++)
			if (order.operation == "relay") {
				auto request = stages[0].relayRequest();
				memset(request.initData(order.size).begin(), 1, order.size);
				if (request.send().wait(scope).getData().size() != order.size)
					return false;
			} else {
				for (size_t s = 0; s < (star ? stages.size() : 1); s++) {
					auto request = stages[s].callRequest();
					if (order.size > 0)
						memset(request.initData(order.size).begin(), 1, order.size);
					request.setAnswer(order.answer);
					if (request.send().wait(scope).getData().size() != order.answer)
						return false;
				}
			}
		return true;
	});
}

int main(int argc, char **argv)
{
	try {
		if (argc >= 3 && !strcmp(argv[1], "serve"))
			return serve(argv[2], argc > 3 ? argv[3] : nullptr);
		if (argc >= 3 && !strcmp(argv[1], "client"))
			return client(argc - 2, argv + 2);
	} catch (const kj::Exception &e) {
		fprintf(stderr, "bench-capnp: %s\n", kj::str(e).cStr());
		return 1;
	}
	fputs("usage: bench-capnp serve ADDRESS [NEXT] | client ADDRESS...\n", stderr);
	return 2;
}
