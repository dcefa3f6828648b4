# SPDX-License-Identifier: Apache-2.0
# Built by build.ts under another name, then moved to weir_loader.node in one step,
# so that a process that loads the addon meanwhile never sees half of it.
{
  'targets': [
    {
      'target_name': 'weir_loader_stage',
      'sources': [
        'native/addon.cc',
        'native/async.cc',
        'native/background.cc',
        'native/compatible.cc',
        'native/error.cc',
        'native/flow_encode.cc',
        'native/handle.cc',
        'native/elf.cc',
        'native/link.cc',
        'native/map.cc',
        'native/map_batch.cc',
        'native/mount.cc',
        'native/netlink.cc',
        'native/netns.cc',
        'native/object.cc',
        'native/object_load.cc',
        'native/perf.cc',
        'native/ping.cc',
        'native/probe.cc',
        'native/program.cc',
        'native/ring_reader.cc',
        'native/ringbuf.cc',
        'native/tc.cc',
      ],
      'include_dirs': [
        '<!(node -p "require(\'node-addon-api\').include_dir")',
        '../include',
      ],
      'defines': ['NAPI_VERSION=9', 'NAPI_CPP_EXCEPTIONS', 'NODE_ADDON_API_DISABLE_DEPRECATED'],
      'cflags!': ['-fno-exceptions'],
      'cflags_cc!': ['-fno-exceptions', '-fno-rtti', '-std=gnu++20', '-std=gnu++17'],
      'cflags_cc': ['-std=c++17', '-O2', '-Wall', '-Wextra', '-Wno-cast-function-type', '-fvisibility=hidden', '-fstack-protector-strong'],
      'libraries': ['-lbpf', '-lelf'],
    },
  ],
}
