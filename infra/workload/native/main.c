// SPDX-License-Identifier: Apache-2.0
/*
 * A workload of the demo and of the tests: a small process with real sockets in a namespace of its own, hundreds of
 * which fit a machine. It serves what it is told to, and asks and drives traffic over its control socket (control.h;
 * pathname sockets belong to no network namespace).
 *
 *     weir-workload --control PATH [--netns PATH] [--cgroup DIR]
 *
 * Prints "ready" once its control socket answers, and ends with the process that started it.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "control.h"
#include "loop.h"

static void join_cgroup(const char *dir)
{
	char path[4096];

	if (snprintf(path, sizeof(path), "%s/cgroup.procs", dir) >= (int)sizeof(path))
		fail(dir);
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "0", 1) != 1)
		fail(path);
	close(fd);
}

static void join_netns(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		fail(path);
	close(fd);
}

int main(int count, char **words)
{
	const char *control = NULL;
	struct rlimit files;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	for (int i = 1; i + 1 < count; i += 2) {
		if (strcmp(words[i], "--cgroup") == 0)
			join_cgroup(words[i + 1]);
		else if (strcmp(words[i], "--netns") == 0)
			join_netns(words[i + 1]);
		else if (strcmp(words[i], "--control") == 0)
			control = words[i + 1];
	}
	if (control == NULL) {
		fprintf(stderr, "usage: weir-workload --control PATH [--netns PATH] [--cgroup DIR]\n");
		return 1;
	}
	loop_init();
	control_listen(control);
	puts("ready");
	fflush(stdout);
	loop_run();
}
