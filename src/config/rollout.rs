//! The bounds of the settings for new versions of models.

use std::time::Duration;

use super::settings::Settings;

/// Checks each of them. The error names the key and the limit.
pub fn check(settings: &Settings) -> Result<(), String> {
    let day = Duration::from_secs(24 * 3600);
    let interval = settings.models_poll_interval;
    if !interval.0.is_zero() && !(Duration::from_secs(1)..=day).contains(&interval.0) {
        return Err(format!(
            "models_poll_interval is {interval}, it must be 0s, or from 1s to 1day"
        ));
    }
    let most = 1 << 40;
    if settings.max_model_memory > most {
        let memory = settings.max_model_memory;
        return Err(format!("max_model_memory is {memory}, it must be from 0 to {most}"));
    }
    let most = 1_000_000;
    if settings.shadow_texts > most {
        let texts = settings.shadow_texts;
        return Err(format!("shadow_texts is {texts}, it must be from 0 to {most}"));
    }
    let time = settings.shadow_time;
    if time.0.is_zero() || time.0 > day {
        return Err(format!("shadow_time is {time}, it must be above 0s and at most 1day"));
    }
    let (share, factor) = (settings.shadow_max_disagreement, settings.shadow_max_slowdown);
    if !(0.0..=1.0).contains(&share) {
        return Err(format!("shadow_max_disagreement is {share}, it must be from 0 to 1"));
    }
    if !(0.1..=1000.0).contains(&factor) {
        return Err(format!("shadow_max_slowdown is {factor}, it must be from 0.1 to 1000"));
    }
    check_canary(settings)
}

fn check_canary(settings: &Settings) -> Result<(), String> {
    let count = settings.canary_min_count;
    if !(1..=1_000_000).contains(&count) {
        return Err(format!("canary_min_count is {count}, it must be from 1 to 1000000"));
    }
    for (key, share) in [
        ("canary_max_failures", settings.canary_max_failures),
        ("canary_max_disagreement", settings.canary_max_disagreement),
    ] {
        if !(0.0..=1.0).contains(&share) {
            return Err(format!("{key} is {share}, it must be from 0 to 1"));
        }
    }
    let factor = settings.canary_max_slowdown;
    if !(0.1..=1000.0).contains(&factor) {
        return Err(format!("canary_max_slowdown is {factor}, it must be from 0.1 to 1000"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::duration::HumanDuration;
    use super::*;

    #[test]
    fn each_bound_is_named() {
        type Change = fn(&mut Settings);
        let changes: [(&str, Change); 10] = [
            ("canary_min_count", |settings| settings.canary_min_count = 0),
            ("canary_max_failures", |settings| settings.canary_max_failures = 1.1),
            ("canary_max_disagreement", |settings| {
                settings.canary_max_disagreement = -0.1
            }),
            ("canary_max_slowdown", |settings| {
                settings.canary_max_slowdown = f64::NAN
            }),
            ("models_poll_interval", |settings| {
                settings.models_poll_interval = HumanDuration(Duration::from_millis(999));
            }),
            ("max_model_memory", |settings| settings.max_model_memory = (1 << 40) + 1),
            ("shadow_texts", |settings| settings.shadow_texts = 1_000_001),
            ("shadow_time", |settings| {
                settings.shadow_time = HumanDuration(Duration::ZERO)
            }),
            ("shadow_max_disagreement", |settings| {
                settings.shadow_max_disagreement = f64::NAN;
            }),
            ("shadow_max_slowdown", |settings| settings.shadow_max_slowdown = 0.0),
        ];
        assert_eq!(check(&Settings::default()), Ok(()));
        for (key, change) in changes {
            let mut settings = Settings::default();
            change(&mut settings);
            let problem = check(&settings).expect_err(key);
            assert!(problem.starts_with(key), "{problem}");
        }
    }
}
