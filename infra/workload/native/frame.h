/* SPDX-License-Identifier: Apache-2.0 */
/* Frames byte by byte, as no socket would send them: what somebody does who has root inside a workload. */
#pragma once

/* `hex` from the Ethernet header on. NULL, or the name of the error. */
const char *frame_send(const char *interface, const char *hex);
