//! The daemon itself: build, clock, loops, config, MQTT, telemetry store.

use crate::http::family::*;
use crate::http::sheet::Sheet;
use crate::http::sources::{REVISION, VERSION};
use crate::http::view::View;

pub(super) fn fill(sheet: &mut Sheet, view: &View) {
    let sources = &view.sources;
    sheet.put(&BUILD_INFO, [VERSION, REVISION], 1.0);
    sheet.put(&SITE_INFO, [&sources.site], 1.0);
    sheet.put(&SITE_TIME, [], view.now.site.as_duration().as_secs_f64());
    sheet.put_bool(&CLOCK_TRUSTED, [], view.snapshot.clock_trusted);
    for watched in &sources.loops {
        sheet.put(&LOOP_AGE, [&watched.name], watched.age(view.now).as_secs_f64());
    }
    sheet.put_bool(&RELOAD_OK, [], sources.reload.successful);
    sheet.put(&RELOAD_TIME, [], sources.reload.at.as_duration().as_secs_f64());
    if let Some(mqtt) = sources.mqtt.as_ref().map(|figures| figures()) {
        sheet.put_bool(&MQTT_CONNECTED, [], mqtt.connected);
        sheet.put(&MQTT_CONNECTS, [], mqtt.connects as f64);
        sheet.put(&MQTT_PUBLISHED, [], mqtt.published as f64);
        sheet.put(&MQTT_ACKNOWLEDGED, [], mqtt.acknowledged as f64);
        sheet.put(&MQTT_REFUSED, [], mqtt.refused as f64);
        sheet.put(&MQTT_INFLIGHT, [], mqtt.inflight as f64);
    }
    if let Some(store) = sources.store.as_ref().map(|figures| figures()) {
        sheet.put(&STORE_RECORDS, [], store.records as f64);
        sheet.put(&STORE_BYTES, [], store.bytes as f64);
        sheet.put(&STORE_DROPPED, [], store.dropped as f64);
        sheet.put(&STORE_SEQUENCE, [], store.last as f64);
    }
}
