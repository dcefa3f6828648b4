// SPDX-License-Identifier: Apache-2.0
//
// The addon's exports. They are the private half of @weir/loader: only src/
// calls them, and gives them names, types and errors meant for people.
#include <napi.h>

#include "attempt.h"
#include "flow_encode.h"
#include "handle.h"
#include "link.h"
#include "listen.h"
#include "map.h"
#include "mount.h"
#include "netlink.h"
#include "netns.h"
#include "object.h"
#include "ping.h"
#include "probe.h"
#include "program.h"
#include "ringbuf.h"

namespace
{

Napi::Object Init(Napi::Env env, Napi::Object exports)
{
	weir::InstallLogCapture();
	weir::InitHandle(env, exports);
	weir::InitObject(env, exports);
	weir::InitMap(env, exports);
	weir::InitMapBatch(env, exports);
	weir::InitProgram(env, exports);
	weir::InitLink(env, exports);
	weir::InitPerf(env, exports);
	weir::InitTc(env, exports);
	weir::InitMount(env, exports);
	weir::InitNetlink(env, exports);
	weir::InitFlowEncode(env, exports);
	weir::InitRing(env, exports);
	weir::InitPing(env, exports);
	weir::InitListen(env, exports);
	weir::InitAttempt(env, exports);
	weir::InitProbe(env, exports);
	weir::InitNetns(env, exports);
	return exports;
}

} // namespace

NODE_API_MODULE(weir_loader, Init)
