// SPDX-License-Identifier: Apache-2.0
#include "program.h"

#include <bpf/bpf.h>

#include <cerrno>
#include <cstring>
#include <ctime>

#include "args.h"
#include "async.h"
#include "netns.h"

namespace weir
{

namespace
{

uint64_t ThreadCpuNs()
{
	timespec now{};
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return static_cast<uint64_t>(now.tv_sec) * 1000000000 + static_cast<uint64_t>(now.tv_nsec);
}

struct TestRun {
	std::shared_ptr<Program> program;
	std::string netns;
	Bytes data;
	Bytes dataOut;
	Bytes ctx;
	Bytes ctxOut;
	bpf_test_run_opts options{};
	uint64_t cpuNs = 0; // of this thread: what others do meanwhile does not count

	// Kinds of programs differ in what they take: a syscall program works on
	// the context in place and refuses everything else.
	void Run()
	{
		options.sz = sizeof(options);
		if (!data.empty()) {
			options.data_in = data.data();
			options.data_size_in = static_cast<uint32_t>(data.size());
		}
		if (!dataOut.empty()) {
			options.data_out = dataOut.data();
			options.data_size_out = static_cast<uint32_t>(dataOut.size());
		}
		if (!ctx.empty()) {
			options.ctx_in = ctx.data();
			options.ctx_size_in = static_cast<uint32_t>(ctx.size());
		}
		const bool separateCtxOut =
			program->info.type == BPF_PROG_TYPE_XDP || program->info.type == BPF_PROG_TYPE_SCHED_CLS ||
			program->info.type == BPF_PROG_TYPE_SCHED_ACT ||
			program->info.type == BPF_PROG_TYPE_CGROUP_SKB || program->info.type == BPF_PROG_TYPE_SK_LOOKUP;
		if (separateCtxOut && !ctx.empty()) {
			ctxOut.resize(ctx.size());
			options.ctx_out = ctxOut.data();
			options.ctx_size_out = static_cast<uint32_t>(ctxOut.size());
		}
		const size_t room = dataOut.size();
		const uint64_t began = ThreadCpuNs();
		const int failed = bpf_prog_test_run_opts(program->fd.get(), &options);
		cpuNs = ThreadCpuNs() - began;
		if (failed < 0)
			ThrowErrno("test run",
				errno == ENOSPC ? "the packet out (" + std::to_string(options.data_size_out) +
							  " bytes) does not fit into " + std::to_string(room) + " bytes"
						: "");
		dataOut.resize(std::min<size_t>(room, options.data_size_out));
		if (separateCtxOut)
			ctxOut.resize(std::min<size_t>(ctxOut.size(), options.ctx_size_out));
		else
			ctxOut = ctx;
	}
};

// programTestRun(program, {data, ctx, repeat, dataSizeOut, flags, cpu, batchSize, netns})
Napi::Value JsTestRun(const Napi::CallbackInfo &info)
{
	auto run = std::make_shared<TestRun>();
	run->program = Use<Program>(info[0], "test run");
	auto options = info[1].As<Napi::Object>();
	if (!options.Get("data").IsUndefined())
		run->data = GetBytes(options.Get("data"), "data");
	if (!options.Get("ctx").IsUndefined())
		run->ctx = GetBytes(options.Get("ctx"), "ctx");
	run->dataOut.resize(GetU32(options.Get("dataSizeOut"), "dataSizeOut", 0));
	run->options.repeat = static_cast<int>(GetU32(options.Get("repeat"), "repeat", 0));
	run->options.flags = GetU32(options.Get("flags"), "flags", 0);
	run->options.cpu = GetU32(options.Get("cpu"), "cpu", 0);
	run->options.batch_size = GetU32(options.Get("batchSize"), "batchSize", 0);
	run->netns = GetOptionalString(options.Get("netns"), "netns");
	return Async(info.Env(), [run] {
		InNetns(run->netns, [&] { run->Run(); });
		return Finish([run](Napi::Env env) {
			auto js = Napi::Object::New(env);
			js.Set("retval", Napi::Number::New(env, run->options.retval));
			js.Set("durationNs", Napi::Number::New(env, run->options.duration));
			js.Set("cpuNs", Napi::Number::New(env, static_cast<double>(run->cpuNs)));
			js.Set("dataOut", ToBuffer(env, std::move(run->dataOut)));
			js.Set("ctxOut", ToBuffer(env, std::move(run->ctxOut)));
			return js;
		});
	});
}

struct TestRuns {
	std::shared_ptr<Program> program;
	Bytes data;
	std::vector<uint32_t> ends;
	Bytes ctx;
	Bytes retvals;

	void Run()
	{
		uint32_t from = 0;
		for (size_t i = 0; i < ends.size(); i++) {
			bpf_test_run_opts options{};
			options.sz = sizeof(options);
			options.data_in = data.data() + from;
			options.data_size_in = ends[i] - from;
			if (!ctx.empty()) {
				options.ctx_in = ctx.data();
				options.ctx_size_in = static_cast<uint32_t>(ctx.size());
			}
			uint32_t retval = UINT32_MAX; // short of its headers: refused by the test run itself
			if (bpf_prog_test_run_opts(program->fd.get(), &options) == 0)
				retval = options.retval;
			else if (errno != EINVAL)
				ThrowErrno("test run", "packet " + std::to_string(i));
			memcpy(retvals.data() + i * sizeof(retval), &retval, sizeof(retval));
			from = ends[i];
		}
	}
};

// programTestRuns(program, data, ends, ctx): one run for each packet; packet i ends before byte ends[i] of data
Napi::Value JsTestRuns(const Napi::CallbackInfo &info)
{
	auto runs = std::make_shared<TestRuns>();
	runs->program = Use<Program>(info[0], "test run");
	runs->data = GetBytes(info[1], "data");
	if (!info[2].IsTypedArray() || info[2].As<Napi::TypedArray>().TypedArrayType() != napi_uint32_array)
		throw Napi::TypeError::New(info.Env(), "ends must be a Uint32Array");
	auto ends = info[2].As<Napi::Uint32Array>();
	runs->ends.assign(ends.Data(), ends.Data() + ends.ElementLength());
	uint32_t before = 0;
	for (const uint32_t end : runs->ends) {
		if (end < before || end > runs->data.size())
			throw Napi::RangeError::New(info.Env(), "ends must not fall and must stay inside data");
		before = end;
	}
	if (!info[3].IsUndefined())
		runs->ctx = GetBytes(info[3], "ctx");
	runs->retvals.resize(runs->ends.size() * sizeof(uint32_t));
	return Async(info.Env(), [runs] {
		runs->Run();
		return Finish([runs](Napi::Env env) { return ToBuffer(env, std::move(runs->retvals)); });
	});
}

// programByPath(path)
Napi::Value ByPath(const Napi::CallbackInfo &info)
{
	const std::string path = GetString(info[0], "path");
	const int fd = bpf_obj_get(path.c_str());
	if (fd < 0)
		ThrowErrno("program open", path);
	return ProgramToJs(info.Env(), AdoptProgram(fd, "program open"));
}

} // namespace

std::shared_ptr<Program> AdoptProgram(int fd, const char *op)
{
	auto program = std::make_shared<Program>();
	program->fd = Fd(fd);
	char link[64]{};
	const std::string self = "/proc/self/fd/" + std::to_string(fd);
	if (readlink(self.c_str(), link, sizeof(link) - 1) < 0 ||
		std::string(link).find("bpf-prog") == std::string::npos)
		Throw(op, EINVAL, "this is no program");
	uint32_t length = sizeof(program->info);
	if (bpf_obj_get_info_by_fd(fd, &program->info, &length) < 0)
		ThrowErrno(op);
	program->name = program->info.name;
	return program;
}

Napi::Object ProgramToJs(Napi::Env env, const std::shared_ptr<Program> &program)
{
	static const char digits[] = "0123456789abcdef";
	std::string tag;
	for (const uint8_t byte : program->info.tag) {
		tag += digits[byte >> 4];
		tag += digits[byte & 15];
	}
	auto js = Napi::Object::New(env);
	js.Set("handle", MakeHandle(env, program));
	js.Set("name", Napi::String::New(env, program->name));
	js.Set("section", Napi::String::New(env, program->section));
	js.Set("type", Napi::Number::New(env, program->info.type));
	js.Set("id", Napi::Number::New(env, program->info.id));
	js.Set("fd", Napi::Number::New(env, program->fd.get()));
	js.Set("tag", Napi::String::New(env, tag));
	js.Set("instructions", Napi::Number::New(env, program->info.xlated_prog_len / 8));
	return js;
}

void InitProgram(Napi::Env env, Napi::Object exports)
{
	Export(env, exports, "programTestRun", JsTestRun);
	Export(env, exports, "programTestRuns", JsTestRuns);
	Export(env, exports, "programByPath", ByPath);
}

} // namespace weir
