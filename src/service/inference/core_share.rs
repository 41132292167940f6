//! What a model takes of the cores: the instances that are opened at its load, and how many of them run at once later,
//! when there may be fewer cores. Pure.

use crate::config::Settings;
use crate::model::Tier;
use crate::model::loading::InstanceSettings;

/// The most instances of a deep model, where the settings don't say how many.
const MOST_BY_DEFAULT: usize = 8;

/// The instances of a model, and the cores that there were when they were opened.
#[derive(Clone, Copy, Debug)]
pub struct CoreShare {
    pub instances: InstanceSettings,
    cores: usize,
}

impl CoreShare {
    /// How many instances a model gets that is loaded while there are so many cores, and how many threads each. By
    /// default one thread each, since on a busy server that does more than fewer sessions of more threads. A number of
    /// instances or of `intra_threads` that was set is kept, however many cores there are.
    pub fn at_load(tier: Tier, settings: &Settings, cores: usize) -> Self {
        let configured = match tier {
            Tier::Fast => settings.fast_instances,
            Tier::Deep => settings.deep_instances,
        };
        let by_default = match tier {
            Tier::Fast => 1,
            Tier::Deep => (cores / settings.intra_threads.max(1)).clamp(1, MOST_BY_DEFAULT),
        };
        let instances = InstanceSettings {
            count: if configured == 0 { by_default } else { configured },
            intra_threads: settings.intra_threads,
            idle_threads: match tier {
                // A run of a fast model ends before another thread would wake up.
                Tier::Fast => 1,
                Tier::Deep if settings.idle_threads == 0 => cores,
                // More threads than cores would only take turns, and use up a quota before its period ends.
                Tier::Deep => settings.idle_threads.min(cores),
            },
            max_cells: tier.max_cells(),
            fast_path: settings.fast_path,
        };
        Self { instances, cores }
    }

    /// Whether the settings leave the number of a model's instances open.
    pub fn is_count_free(tier: Tier, settings: &Settings) -> bool {
        match tier {
            Tier::Fast => settings.fast_instances == 0,
            Tier::Deep => settings.deep_instances == 0,
        }
    }

    /// How many of its instances may run at once while there are so many cores: all if there are no fewer than at its
    /// load, else as many as have a core for each of their threads, at least one.
    pub fn at_once(&self, cores: usize) -> usize {
        let InstanceSettings {
            count, intra_threads, ..
        } = self.instances;
        if cores >= self.cores {
            return count;
        }
        (cores / intra_threads.max(1)).clamp(1, count.max(1))
    }

    /// Whether a run that is alone may use the wide session while there are so many cores.
    pub fn allows_wide(&self, cores: usize) -> bool {
        cores >= self.instances.idle_threads
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(deep_instances: usize, intra_threads: usize, idle_threads: usize) -> Settings {
        Settings {
            deep_instances,
            intra_threads,
            idle_threads,
            ..Settings::default()
        }
    }

    /// The instances, and the threads of one and of the wide session.
    fn opened(tier: Tier, settings: &Settings, cores: usize) -> (usize, usize, usize) {
        let instances = CoreShare::at_load(tier, settings, cores).instances;
        (instances.count, instances.intra_threads, instances.idle_threads)
    }

    #[test]
    fn on_one_core_each_tier_has_one_thread() {
        let by_default = settings(0, 1, 0);
        assert_eq!(opened(Tier::Fast, &by_default, 1), (1, 1, 1));
        assert_eq!(opened(Tier::Deep, &by_default, 1), (1, 1, 1));
        let asked = settings(0, 1, 64);
        assert_eq!(opened(Tier::Deep, &asked, 1), (1, 1, 1), "no wide session");
    }

    #[test]
    fn by_default_there_are_threads_for_all_cores_and_no_more() {
        for cores in 1..=8 {
            for intra in 1..=cores {
                let (count, intra, idle) = opened(Tier::Deep, &settings(0, intra, 0), cores);
                assert!(
                    count * intra <= cores && idle <= cores,
                    "{cores} cores, {intra} threads"
                );
            }
        }
        assert_eq!(opened(Tier::Deep, &settings(0, 1, 0), 64), (8, 1, 64));
        assert_eq!(opened(Tier::Deep, &settings(0, 16, 0), 64), (4, 16, 64));
        assert_eq!(
            opened(Tier::Deep, &settings(12, 2, 4), 2),
            (12, 2, 2),
            "what was set is kept"
        );
    }

    #[test]
    fn fewer_run_at_once_while_there_are_fewer_cores_and_all_again_once_there_are_as_many() {
        let at_once = |share: CoreShare| [0, 1, 2, 3, 4, 8, 64].map(|cores| share.at_once(cores));
        let one_thread = CoreShare::at_load(Tier::Deep, &settings(0, 1, 0), 4);
        assert_eq!(at_once(one_thread), [1, 1, 2, 3, 4, 4, 4]);
        let two_threads = CoreShare::at_load(Tier::Deep, &settings(0, 2, 0), 4);
        assert_eq!(at_once(two_threads), [1, 1, 1, 1, 2, 2, 2]);
        let more_than_cores = CoreShare::at_load(Tier::Deep, &settings(6, 1, 0), 4);
        assert_eq!(at_once(more_than_cores), [1, 1, 2, 3, 6, 6, 6]);
        let fast = CoreShare::at_load(Tier::Fast, &settings(0, 1, 0), 4);
        assert_eq!(at_once(fast), [1; 7]);
    }

    #[test]
    fn the_wide_session_rests_while_it_has_more_threads_than_there_are_cores() {
        let share = CoreShare::at_load(Tier::Deep, &settings(0, 1, 3), 4);
        assert_eq!(
            [1, 2, 3, 4].map(|cores| share.allows_wide(cores)),
            [false, false, true, true]
        );
    }
}
