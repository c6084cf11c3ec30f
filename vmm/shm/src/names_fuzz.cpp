// SPDX-License-Identifier: GPL-2.0-or-later
// Names of any bytes, and files of any name: what is shown, or put into a file
// name, is read back as it was; what is read is written as it was read.
#include <ipidefer/shm.h>

#include <cstdlib>
#include <cstring>
#include <string>

#include "vmm/shm/src/name.hpp"

namespace {

void require(bool holds)
{
    if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size)
{
    using namespace ipidefer::shm;
    // Up to the first NUL, as C has it.
    const std::string text{
        std::string{reinterpret_cast<const char*>(data), size}.c_str()};
    char name[IPIDEFER_SEGMENT_NAME];
    char shown[IPIDEFER_SHM_SHOWN];
    FileName file;
    if (!text.empty() && text.size() < IPIDEFER_SEGMENT_NAME) {
        ipidefer_shm_show_name(text.c_str(), shown);
        require(ipidefer_shm_read_name(shown, name) && text == name);
        if (file_of_name(text.c_str(), 7, file, nullptr))
            require(ipidefer_shm_name_of_file(file, name) && text == name);
    }
    if (ipidefer_shm_read_name(text.c_str(), name))
        (void)ipidefer_shm_show_name(name, shown);
    if (ipidefer_shm_name_of_file(text.c_str(), name)) {
        require(file_of_id(id_of_file(text.c_str()), file, nullptr));
        require(text == file);
    }
    (void)file_of_id(text.c_str(), file, nullptr);
    return 0;
}
