/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Processes: the part of the contract (abi.h) that says which processes run on this host, and what is told when one
 * begins another image, forks or ends.
 *
 * A process is named by its pid and `exec_ns`: CLOCK_BOOTTIME when its image began, or when it was forked. Threads have
 * the name of their process. Pids are those of the kernel's first namespace.
 */
#ifndef WEIR_ABI_PROCESS_H
#define WEIR_ABI_PROCESS_H

#ifndef WEIR_ALIGNED
#error "include abi.h"
#endif

enum weir_process_limits {
	WEIR_MAX_PROCESSES =
		131072, /* four times the kernel's own pid_max of small machines; only what runs takes memory */
	WEIR_PROCESS_EVENTS_BYTES = 8388608, /* ring buffer: more than a second of 5,000 processes that begin and end */
	WEIR_PATH_BYTES = 4096, /* PATH_MAX: longer paths lose their beginning, and say so */
	WEIR_BINARY_BYTES = 256, /* of the binary's path in the map of processes, with the NUL; events have all of it */
	WEIR_PROCESS_CHUNK = 8192, /* arguments in one event; more follow in events of their own */
	WEIR_PROCESS_CHUNKS = 512, /* of arguments, and of environment: 4 MiB, more than any kernel takes */
	WEIR_MAX_SOCKET_PROCESSES = 16384, /* that had sockets lately: flows are told within a second or so */
	WEIR_CGROUP_LEVELS = 64, /* depth of the cgroup that limits what is told */
};

enum weir_process_flags {
	PROCESS_CLONE = 1, /* it was forked and has begun no image of its own */
	PROCESS_OLD = 2, /* it ran already when it was first seen */
	PROCESS_SETUID = 4, /* its image's file has the bit, and gave it another effective user */
	PROCESS_SETGID = 8,
	PROCESS_RAISED = 16, /* it has capabilities that it had not before this image */
	PROCESS_NO_FILE = 32, /* nothing leads to the image's file any more: deleted, or never had a name */
	PROCESS_BINARY_CUT = 64, /* the path was longer than WEIR_PATH_BYTES; its end is there */
	PROCESS_CWD_CUT = 128,
	PROCESS_ARGS_CUT = 256, /* there are more than were asked for */
	PROCESS_ENV_CUT = 512,
	PROCESS_ARGS_FAILED = 1024, /* the memory could not be read */
	PROCESS_ENV_FAILED = 2048,
	PROCESS_ROOT_CWD = 4096, /* its directory is / */
	PROCESS_NO_CWD = 8192,
	PROCESS_SECURE = 16384, /* AT_SECURE: the kernel gave it more than its caller had */
};

/* Index into `process_counters`. Of events: what was written, and behind PROCESS_LOST what found no room. */
enum weir_process_counter {
	PROCESS_COUNT_EXEC = 0,
	PROCESS_COUNT_FORK = 1,
	PROCESS_COUNT_EXIT = 2,
	PROCESS_COUNT_SEEN = 3,
	PROCESS_COUNT_DATA = 4,
	PROCESS_COUNT_LOST_EXEC = 5,
	PROCESS_COUNT_LOST_FORK = 6,
	PROCESS_COUNT_LOST_EXIT = 7,
	PROCESS_COUNT_LOST_SEEN = 8,
	PROCESS_COUNT_LOST_DATA = 9,
	PROCESS_COUNT_MAP_FULL = 10, /* processes that found no place in `processes` */
	PROCESS_COUNT_NO_OWNER = 11, /* sockets for whose owner there was no memory */
	PROCESS_COUNT_MAX = 16,
};

/* What a running process is: for whoever has a pid. */
struct process {
	__u64 exec_ns;
	__u64 parent_exec_ns; /* 0: its parent is not known */
	__u64 start_ns; /* when the task was made: tells a pid that was used again */
	__u64 self_exec_id; /* the kernel's count of images */
	__u64 cgroup_id; /* in the unified hierarchy */
	__u64 cap_permitted; /* when its image began */
	__u64 inode; /* of its image's file */
	__u32 device; /* of its image's file, as the kernel has it: major << 20 | minor */
	__u32 parent_pid;
	__u32 uid; /* real, when its image began */
	__u32 gid;
	__u32 euid;
	__u32 egid;
	__u32 auid; /* who logged in; 4294967295: nobody */
	__u32 netns; /* inode number of its network namespace */
	__u32 flags; /* enum weir_process_flags */
	__u32 binary_length; /* of the whole path; when it is WEIR_BINARY_BYTES or more, `binary` has the path's beginning */
	__u8 binary[256]; /* path of its image's file, seen from the process's own root; zeros behind its end */
};

/* `socket_processes`: LRU hash -> struct process. Whoever has had a socket, for flows that are told when it has ended. */
struct process_name {
	__u64 exec_ns;
	__u32 pid;
	__u32 pad;
};

/* Behind it are `data_length` bytes: binary, cwd, arguments, environment, of these lengths. */
struct process_event {
	struct event_header header; /* EVENT_PROCESS_EXEC, _FORK, _EXIT, _SEEN */
	__u64 exec_ns;
	__u64 parent_exec_ns;
	__u64 previous_exec_ns; /* of the same pid, before this image; 0: none is known */
	__u64 start_ns;
	__u64 cgroup_id;
	__u64 cap_permitted;
	__u64 cap_effective;
	__u64 cap_inheritable;
	__u64 inode;
	__u32 device;
	__u32 links; /* names that lead to the image's file */
	__u32 file_mode;
	__u32 pid;
	__u32 tid; /* the thread that began the image */
	__u32 own_pid; /* in its own pid namespace */
	__u32 parent_pid;
	__u32 uid;
	__u32 gid;
	__u32 euid;
	__u32 egid;
	__u32 suid;
	__u32 sgid;
	__u32 fsuid;
	__u32 fsgid;
	__u32 auid;
	__u32 securebits;
	__u32 user_level; /* of its user namespace; 0 is the first */
	__u32 ns_uts; /* inode numbers */
	__u32 ns_ipc;
	__u32 ns_mnt;
	__u32 ns_pid;
	__u32 ns_pid_for_children;
	__u32 ns_net;
	__u32 ns_time;
	__u32 ns_time_for_children;
	__u32 ns_cgroup;
	__u32 ns_user;
	__u32 flags; /* enum weir_process_flags */
	__u32 exit_code; /* as wait(2) has it: signal in the low 7 bits, 128 with a core dump, status << 8 */
	__u32 args_size; /* what the process has */
	__u32 env_size;
	__u32 args_sent; /* what is in this event and the ones of EVENT_PROCESS_DATA before it */
	__u32 env_sent;
	__u32 binary_length;
	__u32 cwd_length;
	__u32 args_length; /* in this event; those of EVENT_PROCESS_DATA come behind */
	__u32 env_length;
	__u32 data_length;
	__u8 comm[16]; /* zeros behind its end; any bytes */
	__u32 pad;
};

enum weir_process_data {
	PROCESS_DATA_ARGS = 1,
	PROCESS_DATA_ENV = 2,
};

/* A further piece of what an image was begun with; all come before its EVENT_PROCESS_EXEC. `length` bytes are behind it. */
struct process_data_event {
	struct event_header header;
	__u64 exec_ns;
	__u32 pid;
	__u32 what; /* enum weir_process_data */
	__u32 at; /* offset in arguments or environment */
	__u32 length;
};

#endif
