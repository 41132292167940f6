//! Environment variables that look like ours and are none: most are misspelt.

use super::settings::DECLARED;

/// How all variables of the program begin.
const PREFIX: &str = "TANDEM_";
/// Those that are no settings.
const FURTHER: [&str; 7] = [
    "TANDEM_CONFIG",
    "TANDEM_TOKENS",
    "TANDEM_ADMIN_TOKENS",
    "TANDEM_TOKEN",
    "TANDEM_ADMIN_TOKEN",
    "TANDEM_TLS_CA",
    "TANDEM_TLS_NAME",
];

/// Those among `names` that begin as ours do and are not known, each in one line with the nearest that is.
pub fn unknown(names: impl Iterator<Item = String>) -> Vec<String> {
    let known = || {
        let settings = DECLARED.iter().map(|setting| setting.variable.as_str());
        settings.chain(FURTHER)
    };
    let unknown = names.filter(|name| {
        let Some(rest) = name.strip_prefix(PREFIX) else {
            return false;
        };
        !is_of_orchestrator(rest) && !known().any(|variable| variable == name)
    });
    let mut told: Vec<String> = unknown
        .map(|name| {
            let nearest = known().max_by(|a, b| {
                let near = |variable: &str| strsim::jaro_winkler(&name, variable);
                near(a).total_cmp(&near(b))
            });
            let nearest = nearest.unwrap_or_default();
            format!(
                "the environment variable {name} is not known and has no effect; the nearest known one is {nearest}"
            )
        })
        .collect();
    told.sort();
    told
}

/// Whether the rest of a name is what an orchestrator sets for services: `PORT`, `PORT_50051_TCP_ADDR`, `SERVICE_HOST`,
/// and the same after the rest of a service's name.
fn is_of_orchestrator(rest: &str) -> bool {
    let parts: Vec<&str> = rest.split('_').collect();
    (0..parts.len()).any(|at| {
        let rest = parts[at..].join("_");
        let numbered = rest
            .strip_prefix("PORT_")
            .is_some_and(|port| port.starts_with(|c: char| c.is_ascii_digit()));
        let of_service = rest == "SERVICE_HOST" || rest == "SERVICE_PORT" || rest.starts_with("SERVICE_PORT_");
        rest == "PORT" || numbered || of_service
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(names: &[&str]) -> Vec<String> {
        unknown(names.iter().map(|name| (*name).to_owned()))
    }

    #[test]
    fn a_misspelt_variable_is_told_with_the_nearest() {
        let told = told(&["TANDEM_GRPC_ADR", "PATH", "TANDEM_MODELS"]);
        assert_eq!(
            told,
            [
                "the environment variable TANDEM_GRPC_ADR is not known and has no effect; the nearest known one is TANDEM_GRPC_ADDR"
            ]
        );
    }

    #[test]
    fn what_is_known_or_set_by_an_orchestrator_is_passed_over() {
        let all = DECLARED.iter().map(|setting| setting.variable.clone());
        assert!(unknown(all.chain(FURTHER.map(str::to_owned))).is_empty());
        let of_services = [
            "TANDEM_PORT",
            "TANDEM_SERVICE_HOST",
            "TANDEM_SERVICE_PORT_GRPC",
            "TANDEM_PORT_50051_TCP_ADDR",
            "TANDEM_CANARY_SERVICE_PORT",
            "TANDEM_CANARY_PORT_5000_TCP",
            "TANDEMS",
        ];
        assert_eq!(told(&of_services), [""; 0]);
    }
}
