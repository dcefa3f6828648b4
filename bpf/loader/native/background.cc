// SPDX-License-Identifier: Apache-2.0
#include "background.h"

#include <sys/eventfd.h>

#include <cerrno>

namespace weir
{

Background::Background() : wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))
{
	if (wake_.get() < 0)
		ThrowErrno("thread start");
}

Background::~Background()
{
	End();
}

void Background::Start(Napi::Env env, const char *name, Napi::Function callback, std::function<void()> body)
{
	env_ = env;
	const napi_status status = napi_create_threadsafe_function(env, callback, nullptr, Napi::String::New(env, name),
		0, 1, nullptr, Finalize, this, CallJs, &function_);
	if (status != napi_ok)
		throw Napi::Error::New(env, "a thread-safe function could not be made");
	napi_add_env_cleanup_hook(env, TearDown, this);
	self_ = shared_from_this();
	stopped_ = std::make_unique<Napi::Promise::Deferred>(Napi::Promise::Deferred::New(env));
	promise_ = std::make_unique<Napi::ObjectReference>(Napi::Persistent(stopped_->Promise().As<Napi::Object>()));
	promise_->SuppressDestruct(); // released in Finalize, never by a destructor without an environment
	thread_ = std::thread([this, body = std::move(body)] {
		body();
		if (!closed_)
			napi_release_threadsafe_function(function_, napi_tsfn_release);
	});
}

Napi::Promise Background::Stop(Napi::Env env)
{
	if (!promise_) { // over
		auto deferred = Napi::Promise::Deferred::New(env);
		deferred.Resolve(env.Undefined());
		return deferred.Promise();
	}
	stopping_.store(true, std::memory_order_release);
	Wake();
	return promise_->Value().As<Napi::Promise>();
}

void Background::Wake()
{
	const uint64_t one = 1;
	if (write(wake_.get(), &one, sizeof(one)) < 0)
		return; // full: it is readable already
}

void Background::Drain()
{
	uint64_t count;
	if (read(wake_.get(), &count, sizeof(count)) < 0)
		return; // was not readable
}

bool Background::Send(std::unique_ptr<Post> post)
{
	if (closed_)
		return false;
	if (napi_call_threadsafe_function(function_, post.get(), napi_tsfn_nonblocking) == napi_ok) {
		post.release(); // CallJs owns it now
		return true;
	}
	closed_ = true; // the call has taken our hold on the function with it
	return false;
}

void Background::CallJs(napi_env env, napi_value callback, void *, void *data)
{
	const std::unique_ptr<Post> post(static_cast<Post *>(data));
	if (!env || !callback)
		return;
	try {
		post->Deliver(env, Napi::Function(env, callback));
	} catch (const Napi::Error &error) {
		error.ThrowAsJavaScriptException(); // becomes uncaughtException
	}
}

// Main thread, after the thread's release and the last delivery.
void Background::Finalize(napi_env env, void *, void *context)
{
	auto *background = static_cast<Background *>(context);
	background->End();
	const std::shared_ptr<Background> keep = std::move(background->self_);
	if (background->tornDown_)
		return;
	napi_remove_env_cleanup_hook(env, TearDown, background);
	const Napi::HandleScope scope(env);
	background->promise_->Reset();
	background->promise_.reset();
	background->stopped_->Resolve(Napi::Env(env).Undefined());
	background->stopped_.reset();
}

// The environment goes away. Node calls hooks in reverse order, so this one
// runs before the thread-safe function's own.
void Background::TearDown(void *self)
{
	auto *background = static_cast<Background *>(self);
	background->tornDown_ = true;
	background->End();
}

void Background::End()
{
	stopping_.store(true, std::memory_order_release);
	Wake();
	if (thread_.joinable())
		thread_.join();
}

} // namespace weir
