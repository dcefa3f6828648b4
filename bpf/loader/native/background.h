// SPDX-License-Identifier: Apache-2.0
//
// A native thread that calls into JavaScript. The rules, in one place:
//  - it lives until Stop(): like a timer it keeps the process alive;
//  - Stop() settles after the thread has ended and everything it posted was
//    delivered;
//  - when the environment goes away first (process.exit), the thread is ended
//    and joined before, and what it posted is freed undelivered.
#pragma once

#include <napi.h>

#include <atomic>
#include <functional>
#include <memory>
#include <thread>

#include "handle.h"

namespace weir
{

class Background : public Resource, public std::enable_shared_from_this<Background>
{
public:
	// Something for JavaScript; built on the main thread from what the thread made.
	struct Post {
		virtual ~Post() = default;
		virtual void Deliver(Napi::Env env, Napi::Function callback) = 0;
	};

	Background();
	~Background() override;

	// Main thread. Body runs on the new thread and returns soon after stopping().
	void Start(Napi::Env env, const char *name, Napi::Function callback, std::function<void()> body);
	// Main thread. The promise is the same for every call.
	Napi::Promise Stop(Napi::Env env);

	// Any thread: makes wakeFd() readable until Drain().
	void Wake();
	void Drain();
	int wakeFd() const { return wake_.get(); }
	bool stopping() const { return stopping_.load(std::memory_order_acquire); }

	// Background thread only. False when JavaScript is gone.
	bool Send(std::unique_ptr<Post> post);

private:
	static void CallJs(napi_env env, napi_value callback, void *context, void *data);
	static void Finalize(napi_env env, void *data, void *hint);
	static void TearDown(void *self);
	void End();

	Fd wake_;
	std::atomic<bool> stopping_{false};
	std::thread thread_;
	napi_threadsafe_function function_ = nullptr;
	napi_env env_ = nullptr;
	bool closed_ = false; // by the environment; background thread only
	bool tornDown_ = false;
	std::unique_ptr<Napi::Promise::Deferred> stopped_;
	std::unique_ptr<Napi::ObjectReference> promise_;
	std::shared_ptr<Background> self_; // while it runs
};

} // namespace weir
