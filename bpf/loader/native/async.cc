// SPDX-License-Identifier: Apache-2.0
#include "async.h"

#include <cerrno>
#include <new>
#include <optional>

namespace weir
{

namespace
{

class Worker : public Napi::AsyncWorker
{
public:
	Worker(Napi::Env env, std::function<Finish()> work)
	    : Napi::AsyncWorker(env, "weir_loader"), deferred_(Napi::Promise::Deferred::New(env)),
	      work_(std::move(work))
	{
	}

	Napi::Promise promise() const { return deferred_.Promise(); }

	void Execute() override
	{
		try {
			finish_ = work_();
		} catch (KernelError &error) {
			error_ = std::move(error);
		} catch (const std::bad_alloc &) {
			error_ = KernelError{"allocate memory", ENOMEM, "", ""};
		}
		work_ = nullptr; // drops its references before the result is seen
	}

	void OnOK() override
	{
		if (error_) {
			deferred_.Reject(ToJs(Env(), *error_).Value());
			return;
		}
		try {
			deferred_.Resolve(finish_(Env()));
		} catch (const Napi::Error &error) {
			deferred_.Reject(error.Value());
		}
	}

	void OnError(const Napi::Error &error) override { deferred_.Reject(error.Value()); }

private:
	Napi::Promise::Deferred deferred_;
	std::function<Finish()> work_;
	Finish finish_;
	std::optional<KernelError> error_;
};

// Every exported function passes here: the pointer travels as callback data.
Napi::Value Guard(const Napi::CallbackInfo &info)
{
	try {
		return reinterpret_cast<Function>(info.Data())(info);
	} catch (const KernelError &error) {
		throw ToJs(info.Env(), error);
	} catch (const std::bad_alloc &) {
		throw ToJs(info.Env(), KernelError{"allocate memory", ENOMEM, "", ""});
	}
}

} // namespace

Napi::Value Async(Napi::Env env, std::function<Finish()> work)
{
	auto *worker = new Worker(env, std::move(work));
	Napi::Promise promise = worker->promise();
	worker->Queue();
	return promise;
}

void Export(Napi::Env env, Napi::Object exports, const char *name, Function function)
{
	exports.Set(name, Napi::Function::New(env, Guard, name, reinterpret_cast<void *>(function)));
}

} // namespace weir
