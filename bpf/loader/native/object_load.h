// SPDX-License-Identifier: Apache-2.0
//
// From an ELF file to loaded programs and maps, in one blocking call that runs
// on a worker. Pinning is done here and not by libbpf, because a map whose
// shape changed must be refused with words, or replaced only when the caller
// says that the new one is filled (commit).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "map.h"
#include "program.h"

namespace weir
{

struct LoadRequest {
	std::string path; // or, when empty:
	Bytes image;
	std::string name; // of the object, in messages
	std::string pinDir; // empty = nothing is pinned
	std::optional<std::vector<std::string>> pins; // only these maps; otherwise all
	bool reusePins = true;
	bool replaceIncompatible = false;
	std::vector<std::pair<std::string, uint32_t>> maxEntries;
	std::vector<std::pair<std::string, Bytes>> rodata;
	std::optional<std::vector<std::string>> autoload;
};

struct LoadedMap {
	std::string name;
	std::shared_ptr<Map> map;
	bool reused = false;
	std::string pendingPin; // where CommitPins will put it; empty = nowhere or already there
};

struct LoadedObject {
	std::vector<LoadedMap> maps;
	std::vector<std::shared_ptr<Program>> programs;
};

LoadedObject Load(const LoadRequest &request);

// Puts a map at a path in one step, in place of whatever is pinned there.
void PinOver(int fd, const std::string &path);

// Throws when a pinned map is not what the object declares.
void CheckCompatible(
	const Map &pinned, const MapDefinition &wanted, const MapDefinition *inner, const std::string &path);

} // namespace weir
