#include "device/shared_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <vector>

#include "doctest/doctest.h"

namespace autoglm {
namespace {

std::shared_ptr<SharedMemoryBudget> BudgetOf(size_t bytes) {
  auto budget = std::make_shared<SharedMemoryBudget>();
  budget->SetLimit(bytes);
  return budget;
}

std::vector<std::byte> SomeBytes(size_t count) {
  std::vector<std::byte> bytes(count);
  for (size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::byte>(i * 7 % 251);
  return bytes;
}

SharedSegment Share(const std::vector<std::byte>& bytes) {
  Result<SharedSegment> segment = SharedSegment::Copy(bytes, BudgetOf(1 << 20));
  REQUIRE(segment.ok());
  return std::move(segment.value());
}

SharedMemoryPlace PlaceOf(const SharedSegment& segment) {
  return {static_cast<uint32_t>(getpid()), static_cast<uint32_t>(segment.descriptor()),
          segment.bytes(), segment.token()};
}

bool Refuses(const SharedMemoryPlace& place, const std::string& message) {
  const Result<DeviceBuffer> mapping = MapSharedSegment(place);
  CHECK_MESSAGE(mapping.status().message().find(message) != std::string::npos,
                mapping.status().message());
  return !mapping.ok();
}

// Makes a file as SharedSegment does, but with these seals.
int MakeFile(const char* name, size_t bytes, const SharedToken& token, int seals) {
  const int file = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  REQUIRE_EQ(ftruncate(file, static_cast<off_t>(bytes)), 0);
  REQUIRE_EQ(pwrite(file, token.data(), token.size(), static_cast<off_t>(bytes)),
             static_cast<ssize_t>(token.size()));
  REQUIRE_EQ(fcntl(file, F_ADD_SEALS, seals), 0);
  return file;
}

TEST_CASE("Shared bytes are mapped as they are, and outlive their owner") {
  const std::vector<std::byte> bytes = SomeBytes(300'001);
  Result<DeviceBuffer> mapping = DeviceBuffer();
  {
    const SharedSegment segment = Share(bytes);
    CHECK_EQ(std::memcmp(segment.data(), bytes.data(), bytes.size()), 0);
    mapping = MapSharedSegment(PlaceOf(segment));
  }

  REQUIRE(mapping.ok());
  CHECK_EQ(std::memcmp(mapping.value().data(), bytes.data(), bytes.size()), 0);
}

TEST_CASE("What one side writes to its view of shared bytes, the other does not see") {
  const SharedSegment segment = Share(SomeBytes(100));
  Result<DeviceBuffer> mapping = MapSharedSegment(PlaceOf(segment));
  REQUIRE(mapping.ok());

  mapping.value().as<std::byte>()[1] = std::byte{99};
  segment.data()[2] = std::byte{98};

  CHECK_EQ(segment.data()[1], std::byte{7});
  CHECK_EQ(mapping.value().as<std::byte>()[2], std::byte{14});
}

TEST_CASE("A shared segment can be neither written nor cut short by its owner") {
  const SharedSegment segment = Share(SomeBytes(100));

  CHECK_EQ(pwrite(segment.descriptor(), "x", 1, 0), -1);
  CHECK_EQ(ftruncate(segment.descriptor(), 10), -1);
  CHECK_EQ(mmap(nullptr, 100, PROT_READ | PROT_WRITE, MAP_SHARED, segment.descriptor(), 0),
           MAP_FAILED);
}

TEST_CASE("A segment of another token or size is refused") {
  const SharedSegment segment = Share(SomeBytes(100));
  SharedMemoryPlace token = PlaceOf(segment);
  token.token[15] ^= 1;
  SharedMemoryPlace size = PlaceOf(segment);
  size.bytes = 99;
  SharedMemoryPlace huge = PlaceOf(segment);
  huge.bytes = SIZE_MAX;

  CHECK(Refuses(token, "another token"));
  CHECK(Refuses(size, "has 116 bytes, expected 115"));
  CHECK(Refuses(huge, "has 116 bytes"));
}

TEST_CASE("A segment that its owner could still change is refused") {
  const SharedToken token = {1, 2, 3};
  const int seals = F_SEAL_SEAL | F_SEAL_GROW | F_SEAL_WRITE;
  const int file = MakeFile("autoglm-rows", 100, token, seals);

  CHECK(Refuses({static_cast<uint32_t>(getpid()), static_cast<uint32_t>(file), 100, token},
                "not sealed"));

  close(file);
}

TEST_CASE("Files that are no segments are refused without being opened") {
  const SharedToken token = {1, 2, 3};
  const int all = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
  const int other = MakeFile("another-program", 100, token, all);
  int pipe_ends[2];
  REQUIRE_EQ(pipe(pipe_ends), 0);
  const int null = open("/dev/null", O_RDWR);
  const auto place = [&](int file) {
    return SharedMemoryPlace{static_cast<uint32_t>(getpid()), static_cast<uint32_t>(file), 100,
                             token};
  };

  for (const int file : {other, pipe_ends[0], pipe_ends[1], null}) {
    CHECK(Refuses(place(file), "is no segment"));
  }
  CHECK(Refuses(place(9999), "No such file"));
  CHECK(Refuses({0, 1, 100, token}, "No such file"));

  for (const int file : {other, pipe_ends[0], pipe_ends[1], null}) close(file);
}

TEST_CASE("A budget bounds what is shared, and gets back what is freed") {
  const std::shared_ptr<SharedMemoryBudget> budget = BudgetOf(250);
  const std::vector<std::byte> bytes = SomeBytes(100);
  {
    const Result<SharedSegment> first = SharedSegment::Copy(bytes, budget);
    const Result<SharedSegment> second = SharedSegment::Copy(bytes, budget);
    REQUIRE(second.ok());
    CHECK_EQ(budget->bytes(), 200);

    CHECK_FALSE(SharedSegment::Copy(bytes, budget).ok());
    CHECK_EQ(budget->bytes(), 200);
  }

  CHECK_EQ(budget->bytes(), 0);
}

TEST_CASE("A budget bounds the descriptors of segments") {
  const std::shared_ptr<SharedMemoryBudget> budget = BudgetOf(1 << 20);
  std::vector<SharedSegment> segments;
  while (true) {
    Result<SharedSegment> next = SharedSegment::Copy(SomeBytes(1), budget);
    if (!next.ok()) break;
    segments.push_back(std::move(next.value()));
  }

  CHECK_EQ(segments.size(), 256);
  segments.pop_back();
  CHECK(SharedSegment::Copy(SomeBytes(1), budget).ok());
}

}  // namespace
}  // namespace autoglm
