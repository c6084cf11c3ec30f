// SPDX-License-Identifier: GPL-2.0-or-later
// entry_oracle ENTRY ROUNDS CPU [CHANGE]: does a CPU that enters the kernel see
// what was changed in its mappings while it was in userspace?
//
// A child process stays in userspace on CPU. Each round has the kernel's test
// file (arch/x86/kernel/ipi_defer_test.c of the series) make a CHANGE, with the
// flush deferred, then has the CPU enter the kernel, and waits until the first
// C code of that entry has looked. A CHANGE is one of that file's commands:
// remap, the default: another page at an address, which is read;
// seal: text that becomes read-only, which is written to;
// reuse: text that is freed, and other text at its address, which is executed.
//
// ENTRY: syscall, int80, compat (a 32-bit process, by its vDSO), fault,
// breakpoint, iret (a system call, and then an IRET back that faults),
// interrupt, nmi, or nmi+syscall (both at once). Or text: kernel text is
// changed instead, and the CPU makes a system call that runs it. Or walk: the
// CPU goes on walking a page table, in and out of the kernel, of which one
// after the other is freed; or walk_nmi: it does so in NMIs.
//
// Prints the counts of the kernel, less what they were before. Status: 0 all
// rounds were checked, 1 not; stale reads are for the caller to judge.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

#include "base/text.hpp"

namespace {

constexpr char kTestFile[] = "/sys/kernel/debug/x86/ipi_defer/test";
constexpr char kCompatProgram[] = "/bin/compat_entry";
constexpr int kSharedFd = 3;  // where compat_entry.c expects it
constexpr std::size_t kPage = 4096;
constexpr int kBeatsBetweenWalks = 20000;

/// What parent and child share; compat_entry.c knows the layout.
struct Shared {
    std::atomic<std::uint32_t> asked;  // rounds that the child shall enter for
    std::atomic<std::uint32_t> entered;  // rounds that it has
    std::atomic<std::uint32_t>
        beats;  // grows in userspace; not of compat_entry
};

[[noreturn]] void fail(const std::string& what)
{
    throw std::system_error{errno, std::generic_category(), what};
}

/// Seconds that a CPU may take to enter the kernel.
constexpr int kPatience = 120;

class TestFile {
  public:
    TestFile() : fd_{::open(kTestFile, O_RDWR | O_CLOEXEC)}
    {
        if (fd_ < 0) fail(kTestFile);
    }
    ~TestFile() { ::close(fd_); }
    TestFile(const TestFile&) = delete;
    TestFile& operator=(const TestFile&) = delete;

    void tell(const std::string& command) const
    {
        if (::write(fd_, command.data(), command.size()) < 0) fail(command);
    }

    /// Until the CPU has been in the kernel. That the kernel gives up after a
    /// second says of a host that runs other things no more than that it does.
    void wait_for_entry(const std::string& target) const
    {
        const std::string command = "wait" + target;
        for (int tries = 0; tries < kPatience; ++tries) {
            if (::write(fd_, command.data(), command.size()) >= 0) return;
            if (errno != ETIME) break;
        }
        fail(command);
    }

    static std::map<std::string, long> counts()
    {
        std::map<std::string, long> counts;
        std::ifstream in{kTestFile};
        std::string name;
        for (long count = 0; in >> name >> count;) counts[name] = count;
        return counts;
    }

  private:
    int fd_;
};

void stay_on(unsigned cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (::sched_setaffinity(0, sizeof set, &set) != 0)
        fail("sched_setaffinity");
}

/// No segment has this selector: it is the LDT's, and there is none.
constexpr greg_t kNoSegment = 0x7f;
constexpr int kSelectorBits = 16;
volatile sig_atomic_t faulted_returns = 0;
greg_t segments;

/// Of the word that holds CS, in its lowest 16 bits, and others.
greg_t& segments_of(void* context)
{
    return static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_CSGSFS];
}

/// Has the way back from this signal end in an IRET that faults.
void spoil_return(int, siginfo_t*, void* context)
{
    segments = segments_of(context);
    segments_of(context) =
        (segments >> kSelectorBits << kSelectorBits) | kNoSegment;
}

/// What comes of it.
void mend_return(int, siginfo_t*, void* context)
{
    if ((segments_of(context) & 0xffff) != kNoSegment) ::_exit(1);
    segments_of(context) = segments;
    faulted_returns = faulted_returns + 1;
}

void handle(int signal, void (*handler)(int, siginfo_t*, void*))
{
    struct sigaction action = {};
    action.sa_sigaction = handler;
    action.sa_flags = SA_SIGINFO;
    if (::sigaction(signal, &action, nullptr) != 0) ::_exit(1);
}

void enter(std::string_view how, volatile char* fresh)
{
    if (how == "syscall" || how == "nmi+syscall") {
        long result = SYS_getppid;
        asm volatile("syscall" : "+a"(result) : : "rcx", "r11", "memory");
    } else if (how == "int80") {
        constexpr long kGetpid32 = 20;
        long result = kGetpid32;
        asm volatile("int $0x80"
                     : "+a"(result)
                     :
                     : "r8", "r9", "r10", "r11", "memory");
    } else if (how == "fault") {
        *fresh = 1;
    } else if (how == "text" || how == "walk") {
        static const int fd = ::open(kTestFile, O_RDONLY | O_CLOEXEC);
        char first = 0;
        if (::pread(fd, &first, 1, 0) != 1) ::_exit(1);
    } else if (how == "iret") {
        const auto before = faulted_returns;
        ::raise(SIGUSR1);
        if (faulted_returns != before + 1) ::_exit(1);
    } else if (how == "breakpoint") {
        asm volatile("int3" : : : "memory");
    }
}

/// In userspace, but for what it is asked to do.
[[noreturn]] void child(std::string_view how, unsigned rounds, Shared& shared)
{
    ::signal(SIGTRAP, [](int) {});
    handle(SIGUSR1, spoil_return);
    handle(SIGSEGV, mend_return);
    auto* fresh = static_cast<volatile char*>(
        ::mmap(nullptr, (rounds + 1) * kPage, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    if (fresh == MAP_FAILED) ::_exit(1);
    shared.entered.store(1);
    while (how == "walk") {
        // Out of the kernel for longer than in it.
        for (int i = 0; i < kBeatsBetweenWalks; ++i)
            shared.beats.store(shared.beats.load() + 1,
                               std::memory_order_relaxed);
        enter(how, fresh);
    }
    for (std::uint32_t round = 1;;) {
        if (shared.asked.load(std::memory_order_acquire) == round) {
            shared.beats.store(shared.beats.load() + 1,
                               std::memory_order_relaxed);
            continue;
        }
        enter(how, fresh + round % (rounds + 1) * kPage);
        shared.entered.store(++round, std::memory_order_release);
    }
}

pid_t start(std::string_view how, unsigned rounds, unsigned cpu, Shared& shared)
{
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid < 0) fail("fork");
    if (pid != 0) return pid;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    stay_on(cpu);
    if (how == "compat") {
        ::execl(kCompatProgram, kCompatProgram, nullptr);
        std::perror(kCompatProgram);
        ::_exit(1);
    }
    child(how, rounds, shared);
}

/// While it holds; the child must be there.
template <typename Holds>
void wait_while(Holds holds, pid_t pid)
{
    for (unsigned spins = 0; holds(); ++spins)
        if (spins % 4096 == 4095 && ::waitpid(pid, nullptr, WNOHANG) != 0)
            throw std::runtime_error{"the child is gone"};
}

void wait_for(const std::atomic<std::uint32_t>& count, std::uint32_t value,
              pid_t pid)
{
    wait_while([&] { return count.load(std::memory_order_acquire) != value; },
               pid);
}

/// Until the child is in userspace, after whatever took it into the kernel.
void wait_for_userspace(const Shared& shared, pid_t pid)
{
    // The first may be that of a store which was interrupted.
    for (int i = 0; i < 2; ++i) {
        const std::uint32_t beat = shared.beats.load();
        wait_while([&] { return shared.beats.load() == beat; }, pid);
    }
}

unsigned number(const char* text)
{
    const auto value = ipidefer::number_of<unsigned>(text);
    if (!value)
        throw std::runtime_error{std::string{text} + " is not a number"};
    return *value;
}

/// Tables are freed while the child walks them, or its CPU's NMI handler does.
void free_tables(std::string_view how, unsigned rounds,
                 const std::string& target, const TestFile& file)
{
    constexpr unsigned kAtOnce = 50;
    const std::string command =
        (how == "walk" ? "unlink" : "unlink_nmi") + target + ' ';
    for (unsigned left = rounds; left != 0;) {
        const unsigned now = std::min(left, kAtOnce);
        file.tell(command + std::to_string(now));
        left -= now;
    }
}

/// The CPU enters the kernel after each change.
void change(std::string_view how, unsigned rounds, const std::string& command,
            const std::string& target, const TestFile& file, Shared& shared,
            pid_t pid)
{
    const bool child_enters = how != "interrupt" && how != "nmi";
    for (std::uint32_t round = 1; round <= rounds; ++round) {
        file.tell(command + target);
        if (child_enters)
            shared.asked.store(round + 1, std::memory_order_release);
        if (how == "interrupt") file.tell("ipi" + target);
        if (how.starts_with("nmi")) file.tell("nmi" + target);
        if (how != "text") file.wait_for_entry(target);
        if (child_enters)
            wait_for(shared.entered, round + 1, pid);
        else
            wait_for_userspace(shared, pid);
    }
}

int run(std::string_view how, unsigned rounds, unsigned cpu,
        const std::string& command)
{
    if (::memfd_create("shared", 0) != kSharedFd ||
        ::ftruncate(kSharedFd, kPage) != 0)
        fail("memfd_create");
    void* page = ::mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED,
                        kSharedFd, 0);
    if (page == MAP_FAILED) fail("mmap");
    auto& shared = *new (page) Shared{1, 0, 0};

    const TestFile file;
    const auto before = TestFile::counts();
    const std::string target = ' ' + std::to_string(cpu);
    const pid_t pid = start(how, rounds, cpu, shared);
    wait_for(shared.entered, 1, pid);
    if (how.starts_with("walk"))
        free_tables(how, rounds, target, file);
    else
        change(how, rounds, command, target, file, shared, pid);
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);

    std::printf("== oracle entry=%.*s rounds=%u", static_cast<int>(how.size()),
                how.data(), rounds);
    for (const auto& [name, count] : TestFile::counts())
        std::printf(" %s=%ld", name.c_str(), count - before.at(name));
    std::printf("\n");
    return 0;
}

}  // namespace

int main(int argc, char** argv)
{
    try {
        if (argc != 4 && argc != 5)
            throw std::runtime_error{
                "usage: entry_oracle ENTRY ROUNDS CPU [CHANGE]"};
        const std::string_view how = argv[1];
        const char* by_default = how == "text" ? "poke" : "remap";
        return run(how, number(argv[2]), number(argv[3]),
                   argc == 5 ? argv[4] : by_default);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "entry_oracle: %s\n", error.what());
        return 1;
    }
}
