// SPDX-License-Identifier: Apache-2.0
//
// A uprobe is set at an offset in a file; people know symbols.
#include "elf.h"

#include <fcntl.h>
#include <gelf.h>

#include <cerrno>
#include <memory>
#include <optional>

#include "error.h"
#include "handle.h"

namespace weir
{

namespace
{

std::optional<uint64_t> Search(Elf *elf, Elf_Scn *section, const GElf_Shdr &header, const std::string &symbol)
{
	Elf_Data *data = elf_getdata(section, nullptr);
	if (!data || header.sh_entsize == 0)
		return std::nullopt;
	std::optional<uint64_t> found;
	for (size_t i = 0; i < header.sh_size / header.sh_entsize; i++) {
		GElf_Sym entry;
		if (!gelf_getsym(data, static_cast<int>(i), &entry) || GELF_ST_TYPE(entry.st_info) != STT_FUNC ||
			entry.st_shndx == SHN_UNDEF)
			continue;
		const char *name = elf_strptr(elf, header.sh_link, entry.st_name);
		if (!name || symbol != name)
			continue;
		GElf_Shdr code;
		if (!gelf_getshdr(elf_getscn(elf, entry.st_shndx), &code))
			continue;
		found = entry.st_value - code.sh_addr + code.sh_offset;
		if (GELF_ST_BIND(entry.st_info) == STB_GLOBAL)
			break; // a weak or local namesake comes second
	}
	return found;
}

} // namespace

uint64_t FunctionOffset(const std::string &path, const std::string &symbol)
{
	const Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
	if (file.get() < 0)
		ThrowErrno("attach", path);
	elf_version(EV_CURRENT);
	const std::unique_ptr<Elf, int (*)(Elf *)> elf(elf_begin(file.get(), ELF_C_READ_MMAP, nullptr), elf_end);
	if (!elf || elf_kind(elf.get()) != ELF_K_ELF)
		Throw("attach", ENOEXEC, path + " is no ELF file");
	for (Elf_Scn *section = elf_nextscn(elf.get(), nullptr); section; section = elf_nextscn(elf.get(), section)) {
		GElf_Shdr header;
		if (!gelf_getshdr(section, &header) || (header.sh_type != SHT_SYMTAB && header.sh_type != SHT_DYNSYM))
			continue;
		if (auto offset = Search(elf.get(), section, header, symbol))
			return *offset;
	}
	Throw("attach", ENOENT, path + " has no function '" + symbol + "'");
}

} // namespace weir
