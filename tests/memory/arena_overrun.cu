/// Plants a write past a page and sees that it is found, in two ways:
///   checked    the red zones name class, frame and offset;
///   isolated   compute-sanitizer reports the write when it happens. The program runs itself again
///              under the tool; where there is none it says so, and that half is not tested.
///
/// The page is found as kernels find a plan's (device_pages), and for the red zones by its frame,
/// too (frame_view).
///
/// usage: arena_overrun [--write OFFSET]: with an argument, writes a word at OFFSET from the begin
/// of a page of 256 bytes and leaves the judgement to the tool that runs it.
#include <sys/wait.h>

#include <cstdlib>
#include <cstring>
#include <string>

#include "tests/device/plan_of_pages.hpp"
#include "tests/memory/gpu_rig.cuh"

namespace gpu_test {
namespace {

constexpr page_class size = page_class::b256;
constexpr std::uint32_t frame = 3;

__global__ void write_to_frame(frame_view view, std::int64_t offset) {
  *reinterpret_cast<std::uint32_t*>(frame_address(view, size, frame) + offset) = 0x12345678;
}
__global__ void write_to_page(device_pages pages, std::int64_t offset) {
  *reinterpret_cast<std::uint32_t*>(pages.page(frame, size) + offset) = 0x12345678;
}

/// Eight pages of a plan, frame k for slot k.
struct pages_of_plan {
  pages_of_plan(const physical_memory& memory, arena_mode mode)
      : arena(make_arena(memory, options_of(mode))), pages(*arena), numbers(8) {
    const device_test::plan_of plan(std::vector<page_class>(8, size));
    device_error why;
    REQUIRE(pages.place(plan.view(), &why) == device_code::ok);
    numbers.put(pages.numbers().data(), pages.numbers().size());
  }
  static device_arena_options options_of(arena_mode mode) {
    device_arena_options options;
    options.mode = mode;
    return options;
  }
  [[nodiscard]] device_pages view() const { return pages.view(numbers.data()); }

  std::unique_ptr<device_arena> arena;
  plan_pages pages;
  device_array<std::uint32_t> numbers;
};

void red_zones_name_it(const physical_memory& memory, cudaStream_t stream) {
  for (const bool by_page : {false, true}) {
    const pages_of_plan made(memory, arena_mode::checked);
    device_error why;
    zone_damage found{};
    for (const std::int64_t offset : {252, 256}) {
      if (by_page) {
        write_to_page<<<1, 1, 0, stream>>>(made.view(), offset);
      } else {
        write_to_frame<<<1, 1, 0, stream>>>(made.arena->view(), offset);
      }
      wait_for(stream);
      const device_code expected = offset == 252 ? device_code::ok : device_code::invalid;
      EXPECT(made.arena->check_all(&found, &why) == expected);
    }
    EXPECT(found.size == size && found.frame == frame && found.offset == 256);
    std::printf("planted overrun: %s\n", why.text);
  }
}

/// For the tool: the write alone, in the arena that `SHEAF_ARENA` asks for.
int write_at(std::int64_t offset) {
  const auto memory = open_memory();
  const cudaStream_t stream = make_stream();
  const pages_of_plan made(memory->memory(), arena_mode_of({}));
  write_to_page<<<1, 1, 0, stream>>>(made.view(), offset);
  const cudaError_t error = cudaStreamSynchronize(stream);
  std::printf("wrote at %lld: %s\n", static_cast<long long>(offset), cudaGetErrorString(error));
  return 0;
}

std::string own_path() {
  char path[4096];
  const ssize_t length = ::readlink("/proc/self/exe", path, sizeof path);
  return length > 0 ? std::string(path, static_cast<std::size_t>(length)) : std::string();
}

std::string find_tool() {
  for (const char* const place :
       {"/usr/local/cuda/bin/compute-sanitizer", "/usr/local/cuda-13.0/bin/compute-sanitizer",
        "/usr/local/cuda/compute-sanitizer/compute-sanitizer", "/usr/bin/compute-sanitizer"}) {
    if (::access(place, X_OK) == 0) return place;
  }
  return {};
}

/// The exit code of this program under memcheck; what it printed in `said`.
int run_under(const std::string& tool, const char* self, int offset, std::string* said) {
  const std::string command = "SHEAF_ARENA=isolated timeout 50 " + tool +
                              " --tool memcheck --error-exitcode 9 '" + self + "' --write " +
                              std::to_string(offset) + " 2>&1";
  std::FILE* const pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  char line[512];
  while (std::fgets(line, sizeof line, pipe) != nullptr) *said += line;
  const int status = ::pclose(pipe);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void the_tool_reports_it(const char* self) {
  const std::string tool = find_tool();
  if (tool.empty()) {
    std::printf("compute-sanitizer was not found: the isolated arena was not tested\n");
    return;
  }
  std::string said;
  const int clean = run_under(tool, self, 252, &said);
  EXPECT(clean == 0);
  if (clean != 0) std::printf("%s\n", said.c_str());
  said.clear();
  const int caught = run_under(tool, self, 256, &said);
  EXPECT(caught == 9);
  EXPECT(said.find("Invalid __global__ write of size 4") != std::string::npos);
  if (failures != 0) std::printf("%s\n", said.c_str());
}

}  // namespace
}  // namespace gpu_test

int main(int count, char** words) {
  using namespace gpu_test;
  need_device();
  if (count == 3 && std::strcmp(words[1], "--write") == 0) return write_at(std::atoll(words[2]));
  {
    const auto memory = open_memory();
    const cudaStream_t stream = make_stream();
    red_zones_name_it(memory->memory(), stream);
    RUNTIME(cudaStreamDestroy(stream));
  }
  the_tool_reports_it(own_path().c_str());
  return verdict("planted overrun");
}
