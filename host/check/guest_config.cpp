// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/check/guest_config.hpp"

#include <zlib.h>

#include <map>

#include "base/failure.hpp"
#include "base/text.hpp"

namespace ipidefer::check {
namespace {

/// Of the option, without CONFIG_ in front.
using ConfigOptions = std::map<std::string, std::string, std::less<>>;

constexpr std::string_view kPrefix = "CONFIG_";
constexpr std::string_view kUnset = " is not set";
/// As wide as the series has it, where work bits share the word.
constexpr unsigned kCounterBits = 26;

/// Also of options that are not set, as "n": it tells whether the kernel's
/// source knows them.
ConfigOptions options_in(std::string_view text)
{
    ConfigOptions options;
    for (std::string_view line : lines_of(text)) {
        line = trimmed(line);
        if (line.starts_with("# ") && line.ends_with(kUnset)) {
            line.remove_prefix(2);
            line.remove_suffix(kUnset.size());
            if (line.starts_with(kPrefix))
                options.emplace(line.substr(kPrefix.size()), "n");
            continue;
        }
        const auto equals = line.find('=');
        if (line.starts_with(kPrefix) && equals != std::string_view::npos)
            options.insert_or_assign(
                std::string{
                    line.substr(kPrefix.size(), equals - kPrefix.size())},
                std::string{line.substr(equals + 1)});
    }
    return options;
}

class ConfigChecks {
  public:
    explicit ConfigChecks(ConfigOptions options) : options_{std::move(options)}
    {
    }

    std::vector<Finding> run()
    {
        machine();
        deferral();
        ticks();
        isolation();
        callbacks();
        context();
        sleeping_bpf();
        static_branches();
        kvm_guest();
        fair_server();
        counter();
        deliberate_bugs();
        return std::move(findings_);
    }

  private:
    void add(const char* name, Grade grade, const std::string& what,
             const std::string& remedy = "")
    {
        findings_.push_back(
            {std::string{"guest."} + name, grade, what, remedy});
    }

    [[nodiscard]] std::string value(std::string_view option) const
    {
        const auto found = options_.find(option);
        return found == options_.end() ? "" : found->second;
    }
    [[nodiscard]] bool has(std::string_view option) const
    {
        return value(option) == "y";
    }

    void machine()
    {
        if (has("X86_64"))
            return add("x86_64", Grade::kPass, "it is for x86-64");
        add("x86_64", Grade::kFail, "it is not for x86-64",
            "deferral is for 64-bit x86 kernels only");
    }

    void deferral()
    {
        if (has("IPI_DEFER"))
            return add("ipi_defer", Grade::kPass,
                       "the kernel can do work when it is next entered");
        // The series has the architecture select this, whatever else is set.
        if (has("HAVE_CONTEXT_TRACKING_WORK"))
            return add("ipi_defer", Grade::kFail, "CONFIG_IPI_DEFER is not set",
                       "set CONFIG_IPI_DEFER=y, which needs CONFIG_SMP and "
                       "CONFIG_NO_HZ_FULL");
        add("ipi_defer", Grade::kFail,
            "the kernel's source knows no CONFIG_IPI_DEFER",
            "build one with the series, guest-patches/linux-6.12/build.sh");
    }

    void ticks()
    {
        if (has("NO_HZ_FULL"))
            return add("nohz_full", Grade::kPass, "CPUs can run without ticks");
        add("nohz_full", Grade::kFail, "CPUs cannot run without ticks",
            "set CONFIG_SMP=y and CONFIG_NO_HZ_FULL=y");
    }

    void isolation()
    {
        if (has("CPU_ISOLATION"))
            return add("cpu_isolation", Grade::kPass, "CPUs can be isolated");
        add("cpu_isolation", Grade::kFail,
            "isolcpus= and nohz_full= have no effect",
            "set CONFIG_CPU_ISOLATION=y");
    }

    void callbacks()
    {
        if (has("RCU_NOCB_CPU"))
            return add("rcu_nocb", Grade::kPass,
                       "RCU's callbacks can run on other CPUs");
        add("rcu_nocb", Grade::kWarn,
            "RCU's callbacks run on the CPU that queued them, isolated or not",
            "set CONFIG_RCU_NOCB_CPU=y, which CONFIG_NO_HZ_FULL selects");
    }

    void context()
    {
        if (!has("CONTEXT_TRACKING_USER"))
            return add("context_tracking", Grade::kFail,
                       "the kernel does not track when a CPU is in userspace",
                       "set CONFIG_NO_HZ_FULL=y, which selects "
                       "CONFIG_CONTEXT_TRACKING_USER");
        if (has("CONTEXT_TRACKING_USER_FORCE"))
            return add("context_tracking", Grade::kWarn,
                       "all CPUs track their context, and pay for it at each "
                       "entry, isolated or not",
                       "unset CONFIG_CONTEXT_TRACKING_USER_FORCE");
        add("context_tracking", Grade::kPass,
            "nohz_full CPUs track when they are in userspace");
    }

    void sleeping_bpf()
    {
        if (!has("TASKS_TRACE_RCU"))
            return add("tasks_trace", Grade::kPass,
                       "nothing uses RCU Tasks Trace");
        if (has("TASKS_TRACE_RCU_READ_MB"))
            return add("tasks_trace", Grade::kPass,
                       "RCU Tasks Trace leaves CPUs in userspace alone");
        const std::string cpus = value("NR_CPUS");
        add("tasks_trace", Grade::kWarn,
            "RCU Tasks Trace interrupts CPUs in userspace, when BPF programs "
            "that may sleep are freed" +
                (cpus.empty() ? "" : " (NR_CPUS is " + printable(cpus) + ')'),
            "set CONFIG_RCU_EXPERT=y and CONFIG_TASKS_TRACE_RCU_READ_MB=y, "
            "the default for fewer than 8 CPUs, and never without RCU_EXPERT");
    }

    void static_branches()
    {
        if (has("JUMP_LABEL"))
            return add("jump_label", Grade::kPass,
                       "entries have no branch for what is off");
        add("jump_label", Grade::kWarn,
            "each entry of every CPU reads variables for what is off",
            "set CONFIG_JUMP_LABEL=y");
    }

    void kvm_guest()
    {
        for (const char* option : {"HYPERVISOR_GUEST", "PARAVIRT", "KVM_GUEST"})
            if (!has(option))
                return add("kvm_guest", Grade::kWarn,
                           std::string{"CONFIG_"} + option +
                               " is not set: under KVM, TLB flushes wait for "
                               "vCPUs that do not run",
                           "set CONFIG_HYPERVISOR_GUEST=y, CONFIG_PARAVIRT=y "
                           "and CONFIG_KVM_GUEST=y");
        add("kvm_guest", Grade::kPass,
            "under KVM the kernel knows that it is a guest");
    }

    /// Linux 6.12 has no other way to stop it than a file in debugfs.
    void fair_server()
    {
        if (has("SCHED_DEBUG") && has("DEBUG_FS"))
            return add("fair_server", Grade::kPass,
                       "the scheduler's fair server can be stopped");
        add("fair_server", Grade::kWarn,
            "the scheduler's fair server, which visits each busy CPU once per "
            "second, cannot be stopped",
            "set CONFIG_SCHED_DEBUG=y and CONFIG_DEBUG_FS=y, and write 0 to "
            "/sys/kernel/debug/sched/fair_server/cpuN/runtime");
    }

    void counter()
    {
        const std::string bits = value("RCU_WATCHING_BITS");
        if (bits.empty()) return;  // not the series, which deferral() has said
        if (number_of<unsigned>(bits).value_or(0) >= kCounterBits)
            return add("rcu_counter", Grade::kPass,
                       "RCU's counter is as wide as it can be");
        add("rcu_counter", Grade::kWarn,
            "RCU's counter has " + printable(bits) +
                " bits, which makes grace periods longer",
            "set CONFIG_RCU_WATCHING_BITS=" + std::to_string(kCounterBits) +
                "; fewer are for torture tests");
    }

    void deliberate_bugs()
    {
        std::string set;
        for (const std::string option :
             {"IPI_DEFER_FAULTS", "IPI_DEFER_TEST", "IPI_DEFER_PLANT_OFFENDER"})
            if (has(option))
                set += (set.empty() ? "CONFIG_" : ", CONFIG_") + option;
        if (set.empty())
            return add("faults", Grade::kPass, "it has no deliberate bugs");
        add("faults", Grade::kWarn,
            "what is only for tests of deferral is built in: " + set,
            "unset it in production");
    }

    ConfigOptions options_;
    std::vector<Finding> findings_;
};

bool is_gzip(std::string_view file) { return file.starts_with("\x1f\x8b"); }

class Inflater {
  public:
    Inflater()
    {
        constexpr int kGzipOnly = 16;
        if (inflateInit2(&stream_, MAX_WBITS + kGzipOnly) != Z_OK)
            throw Failure{Exit::kCannotRun, "zlib cannot start"};
    }
    ~Inflater() { inflateEnd(&stream_); }
    Inflater(const Inflater&) = delete;
    Inflater& operator=(const Inflater&) = delete;

    /// One byte more than the most tells that there is more.
    std::string all(std::string_view file)
    {
        std::string text(kMostConfigBytes + 1, '\0');
        // zlib's interface is older than const.
        stream_.next_in =
            reinterpret_cast<Bytef*>(const_cast<char*>(file.data()));
        stream_.avail_in = static_cast<uInt>(file.size());
        stream_.next_out = reinterpret_cast<Bytef*>(text.data());
        stream_.avail_out = static_cast<uInt>(text.size());
        const int ended = inflate(&stream_, Z_FINISH);
        if (ended != Z_STREAM_END && stream_.avail_out != 0)
            throw Failure{Exit::kCannotRun,
                          "the guest's configuration is damaged gzip"};
        text.resize(text.size() - stream_.avail_out);
        return text;
    }

  private:
    z_stream stream_{};
};

}  // namespace

std::string guest_config_text(std::string_view file)
{
    std::string text = is_gzip(file) && file.size() <= kMostConfigBytes
                           ? Inflater{}.all(file)
                           : std::string{file};
    if (text.size() > kMostConfigBytes)
        throw Failure{Exit::kCannotRun,
                      "the guest's configuration has more than " +
                          std::to_string(kMostConfigBytes) + " bytes"};
    return text;
}

std::vector<Finding> guest_config_findings(std::string_view text)
{
    ConfigOptions options = options_in(text);
    if (options.empty())
        throw Failure{Exit::kCannotRun,
                      "no line of the guest's configuration is a kernel's "
                      "CONFIG_NAME=VALUE"};
    return ConfigChecks{std::move(options)}.run();
}

}  // namespace ipidefer::check
